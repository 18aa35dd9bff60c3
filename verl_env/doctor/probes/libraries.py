"""The shared objects of a process after ``import torch``, as the kernel lists them; prints one JSON array of paths."""

import importlib
import json

PATH_FIELD = 5


def main() -> None:
    """Imports and prints."""
    importlib.import_module("torch")
    paths = set()
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123  no import beside torch's
        for line in maps:
            fields = line.split(None, PATH_FIELD)
            if len(fields) > PATH_FIELD and ".so" in fields[PATH_FIELD]:
                paths.add(fields[PATH_FIELD].strip())
    print(json.dumps(sorted(paths)))


if __name__ == "__main__":
    main()
