# ruff: noqa: INP001
# Binds a process to the generation that is in force when it starts: .venv is a link to .venv.d/0003, and what is
# imported after the link was changed must not come from .venv.d/0004. So every path that names the environment by its
# link names the generation instead, and processes that this one starts by sys.executable are of that generation too.
# The open directory says to verl-env which processes run in which generation, which stays until they have ended.
# "zz": after every other .pth file, whose lines still name the link. Python 3.9 and later; every start pays for it.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _generation(prefix: str) -> "str | None":
    place = prefix
    for _ in range(9):
        folder, _, name = place.rpartition("/")
        if folder.endswith(".d") and name.isdigit():
            return place
        try:
            place = os.path.join(folder, os.readlink(place))  # noqa: PTH115, PTH118
        except OSError:
            return None
    return None


def _bind() -> None:
    prefix = sys.prefix
    generation = _generation(prefix)
    if generation is None:
        return
    os.open(generation, os.O_RDONLY | os.O_DIRECTORY)
    if generation == prefix:
        return

    size = len(prefix)

    def moved(path: "Any") -> "Any":
        ours = isinstance(path, str) and path.startswith(prefix) and path[size : size + 1] in ("", "/")
        return generation + path[size:] if ours else path

    if moved("") or moved(prefix) != generation:  # a damaged copy of this file
        return
    sys.path = list(map(moved, sys.path))
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if "__path__" in names or moved(names.get("__file__")) != names.get("__file__"):
            _move(module, names, moved)
    if not sys.flags.isolated:  # what asks an interpreter where it is (uv keeps the answer) is told the link
        sys.prefix, sys.exec_prefix, sys.executable = map(moved, (prefix, sys.exec_prefix, sys.executable))
        sys.modules["site"].PREFIXES[:] = map(moved, sys.modules["site"].PREFIXES)


def _move(module: object, names: "dict[str, Any]", moved: "Callable[[Any], Any]") -> None:
    if isinstance(names.get("__path__"), list):
        names["__path__"][:] = map(moved, names["__path__"])
    spec, loader = names.get("__spec__"), names.get("__loader__")
    for owner, name in (
        (module, "__file__"),
        (module, "__cached__"),
        (spec, "origin"),
        (spec, "cached"),
        (loader, "path"),
    ):
        old = getattr(owner, "__dict__", {}).get(name)
        if moved(old) != old:
            setattr(owner, name, moved(old))


try:  # noqa: SIM105  (contextlib takes longer to import than all of this)
    _bind()
except BaseException:  # noqa: BLE001, S110  whatever it is, it must not end the user's process
    pass
