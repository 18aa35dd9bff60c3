"""What the ELF objects of a packed prefix take from outside of it that nobody stated: each by name, and the number.

python benchmarks/pack_libraries.py PREFIX

Each object is asked of this host's own loader (LD_TRACE_LOADED_OBJECTS). Counted is what an object itself needs, found
outside of the prefix, and neither of glibc nor named in ``verl-env-pack.json``; what the host's libraries need among
themselves is the host's. 0 is right, and the exit code then.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from verl_env.binaries.elf import ElfError, read_elf
from verl_env.bundle.packing.model import read_pack
from verl_env.bundle.packing.needs import OF_GLIBC

_LOADER = "/lib64/ld-linux-x86-64.so.2"
_FOUND = re.compile(r"\s*(\S+) => (\S.*?)(?: \(0x[0-9a-f]+\))?$", re.MULTILINE)


def main() -> int:
    """Prints what is found outside, and how much it is."""
    prefix = Path(sys.argv[1]).resolve()
    said = read_pack(prefix)
    if said is None:
        sys.exit(f"{prefix} is no packed prefix")
    stated = {*said.libraries, *said.optional}
    paths = [Path(folder, name) for folder, _, names in os.walk(prefix) for name in names]
    with ThreadPoolExecutor(2) as pool:
        asked = [each for each in pool.map(outside, paths, [prefix] * len(paths)) if each is not None]
    odd = {(name, place): path for path, found in asked for name, place in found.items() if name not in stated}
    for (name, place), path in sorted(odd.items()):
        print(f"{name} => {place}, for {path.relative_to(prefix)}")
    print(f"{len(asked)} objects; outside of the prefix and of what is stated: {len(odd)}")
    return int(bool(odd))


def outside(path: Path, prefix: Path) -> tuple[Path, dict[str, str]] | None:
    """What an object needs that the loader finds elsewhere; None for what is no object of this host."""
    try:
        needed = read_elf(path).needed if not path.is_symlink() and path.is_file() else None
    except (ElfError, OSError):
        needed = None
    if needed is None:
        return None
    env = {name: value for name, value in os.environ.items() if not name.startswith("LD_")}
    argv = [_LOADER, str(path)]
    text = subprocess.run(
        argv, env={**env, "LD_TRACE_LOADED_OBJECTS": "1"}, capture_output=True, text=True, check=False
    ).stdout
    found = {name: place for name, place in _FOUND.findall(text) if name in needed and place != "not found"}
    return path, {
        name: place
        for name, place in found.items()
        if not OF_GLIBC.fullmatch(name) and not Path(place).resolve().is_relative_to(prefix)
    }


if __name__ == "__main__":
    sys.exit(main())
