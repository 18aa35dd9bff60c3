"""The list of every file of a packed prefix, and the comparison with it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from verl_env.bundle.packing.errors import PackInvalidError
from verl_env.bundle.packing.model import FILES
from verl_env.reading import read_bytes
from verl_env.wheels.fetch import file_sha256

_LISTED = 5
#: Characters of a name in a message at most.
_SHOWN = 200
#: Bytes of the list at most: ten times that of the largest environment.
_LONGEST = 256 << 20


def measure(prefix: Path) -> tuple[int, int]:
    """The number of files and their bytes."""
    names = _names(prefix)
    return len(names), sum((prefix / name).lstat().st_size for name in names)


def write_listing(prefix: Path) -> None:
    """Writes the list."""
    text = "".join(f"{line}\n" for line in _lines(prefix))
    (prefix / FILES).write_text(text, encoding="utf-8", errors="surrogateescape")


def check_listing(prefix: Path, origin: Path) -> None:
    """Compares a prefix with its list.

    Raises:
        PackInvalidError: they differ; it names the first files.
    """
    try:
        text = read_bytes(prefix / FILES, _LONGEST).decode("utf-8", "surrogateescape")
        want, have = dict(map(_split, text.splitlines())), dict(map(_split, _lines(prefix)))
    except OSError as error:
        raise PackInvalidError(origin, f"{error.filename or FILES}: {error.strerror or error}") from error
    except ValueError as error:
        raise PackInvalidError(origin, f"its {FILES} is no list of files") from error
    wrong = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    if wrong:
        more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        names = ", ".join(name[:_SHOWN] for name in wrong[:_LISTED])
        raise PackInvalidError(origin, f"{names}{more} are not as they were packed")


def _split(line: str) -> tuple[str, str]:
    digest, mode, name = line.split("  ", 2)
    return name, f"{digest} {mode}"


def _lines(prefix: Path) -> list[str]:
    names = _names(prefix)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda name: _line(prefix, name), names))


def _line(prefix: Path, name: str) -> str:
    path = prefix / name
    if path.is_symlink():
        return f"->{os.readlink(path)}  link  {name}"  # noqa: PTH115
    return f"{file_sha256(path)}  {(path.stat().st_mode & 0o111 and 'x') or '-'}  {name}"


def _names(prefix: Path) -> list[str]:
    found = []
    for directory, folders, names in os.walk(prefix):
        links = [name for name in folders if Path(directory, name).is_symlink()]
        found += [os.path.relpath(os.path.join(directory, name), prefix) for name in [*names, *links]]  # noqa: PTH118
    return sorted(name for name in found if name != FILES)
