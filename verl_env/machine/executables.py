"""Where the programs of the probed host are."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from verl_env.machine.roots import Roots


def search_path(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The directories of PATH in order, each once; relative ones are left out, as they depend on who looks."""
    return tuple(dict.fromkeys(part for part in environ.get("PATH", "").split(":") if part.startswith("/")))


def find_all(roots: Roots, directories: Iterable[str], name: str) -> Iterator[str]:
    """Every executable file of that name, as an absolute path of the probed host."""
    for directory in directories:
        path = f"{directory.rstrip('/')}/{name}"
        if is_executable(roots, path):
            yield path


def find(roots: Roots, directories: Iterable[str], name: str) -> str | None:
    """The first executable file of that name, or None."""
    return next(find_all(roots, directories, name), None)


def is_executable(roots: Roots, path: str) -> bool:
    """Whether a path is a file that this process may execute."""
    try:
        place = roots.path(path)
        return stat.S_ISREG(os.stat(place).st_mode) and os.access(place, os.X_OK)  # noqa: PTH116
    except (OSError, ValueError):
        return False


def is_directory(roots: Roots, path: str) -> bool:
    """Whether a path is a directory that can be seen."""
    try:
        return stat.S_ISDIR(os.stat(roots.path(path)).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False


def real_path(roots: Roots, path: str) -> str | None:
    """The path without symbolic links, as a path of the probed host; None where a link leads out of its root."""
    try:
        real, root = os.path.realpath(roots.path(path)), os.path.realpath(roots.root)
    except (OSError, ValueError):
        return None
    if root == "/":
        return real
    return real[len(root) :] if real.startswith(f"{root}/") else None
