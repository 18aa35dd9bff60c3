"""Installed files held against RECORD by existence and size: the one look that ``install`` and ``doctor`` share.

No content is read. The files of an environment that is in the system's cache are looked at in some tenths of a second.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from verl_env.environment.expected import NOT_EMPTY, expected_files
from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Literal

    from verl_env.environment.expected import Expected
    from verl_env.environment.installed import Distribution
    from verl_env.environment.record import Entry

_KIND, _REGULAR = 0o170000, stat.S_IFREG
_UNREADABLE = "its RECORD cannot be read"


@record
class Damage:
    """A recorded file that is not as recorded; ``there`` and ``recorded`` are its sizes in bytes."""

    distribution: str
    path: str
    what: Literal["missing", "size", "hash"]
    detail: str
    there: int = 0
    recorded: int = 0


@record
class Spoiled:
    """A distribution that is not as it was installed.

    ``files`` are those that are missing or of another size, as RECORD names them, each with the size that it has, None
    where it is missing; empty where RECORD itself cannot be read.
    """

    name: str
    files: Mapping[str, int | None]

    @property
    def text(self) -> str:
        """What is the matter, in words."""
        if not self.files:
            return _UNREADABLE
        first, more = next(iter(self.files)), len(self.files) - 1
        return f"{first} is not as installed" if not more else f"{first} and {more} more are not as installed"

    def beyond(self, usual: Mapping[str, int | None]) -> Spoiled | None:
        """What is left of it without the files that are known to be so, with their sizes; None where nothing is."""
        left = {path: size for path, size in self.files.items() if usual.get(path, -1) != size}
        return Spoiled(self.name, left) if left or not self.files else None


def size_damages(name: str, site: str, entries: Iterable[Entry]) -> Iterator[Damage]:
    """The files that are missing, or that have another size than the recorded one where there is one."""
    status, prefix = os.stat, f"{site}/"
    for path, _, size in entries:
        full = path if path[:1] == "/" else prefix + path
        try:
            found = status(full)
        except (OSError, ValueError):
            yield Damage(name, full, "missing", "recorded, but not there", 0, size or 0)
            continue
        there = found.st_size
        if not _is_file(found.st_mode):
            yield Damage(name, full, "missing", "recorded, but there is no file", 0, size or 0)
        elif size is not None and there != size:
            yield Damage(name, full, "size", f"{there} bytes instead of {size}", there, size)


def spoiled(
    site: Path,
    have: Mapping[str, Distribution],
    known: Mapping[str, Mapping[str, int | None]] = NOTHING,
    read: dict[str, Expected] | None = None,
    only: Container[str] | None = None,
) -> dict[str, Spoiled]:
    """The distributions of a directory of packages that are not as they were installed, by name.

    Scripts count when they are gone or empty only: installers and relocation write them anew. So do paths that
    several distributions list with different sizes, where the file has none of these.

    Args:
        site: The directory.
        have: What is in it; what is not whole by its metadata is passed over.
        known: Files by distribution, with sizes, that were so from the start: they count for nothing.
        read: What was read of its RECORDs before (``kept_files``); what is read now is put into it.
        only: The distributions that are looked at; None for all.
    """
    expected = expected_files(have, {} if read is None else read)
    found: dict[str, Spoiled] = {}
    for name, each in expected.items():
        if only is not None and name not in only:
            continue
        if each is None:
            found[name] = Spoiled(name, {})
            continue
        others = expected.values()
        files = {
            path: size
            for path, size in _unlike(str(site), each)
            if size is None or not _is_of_another(path, size, others)
        }
        if files and (left := Spoiled(name, files).beyond(known.get(name, NOTHING))) is not None:
            found[name] = left
    return found


def _is_file(mode: int) -> bool:
    """Whether it is a file, or a directory, which some RECORDs list; a FIFO in the place of a module would hang."""
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _unlike(site: str, expected: Expected) -> Iterator[tuple[str, int | None]]:
    """The files that are not as expected, each with its size; None where there is no file."""
    status = os.stat
    for folder, files in expected.folders.items():
        prefix = f"{site}/{folder}/" if folder else f"{site}/"
        for name, size in files.items():  # of a large environment there are 50,000
            try:
                found = status(prefix + name)
            except (OSError, ValueError):
                yield f"{folder}/{name}" if folder else name, None
                continue
            if found.st_size == size and found.st_mode & _KIND == _REGULAR:
                continue
            has = found.st_size if _is_file(found.st_mode) else None
            if has is None or not (size is None or has == size or (size == NOT_EMPTY and has > 0)):
                yield f"{folder}/{name}" if folder else name, has


def _is_of_another(path: str, size: int, expected: Iterable[Expected | None]) -> bool:
    """Whether a path has the size that another distribution lists for it."""
    folder, _, name = path.rpartition("/")
    return any(each is not None and each.folders.get(folder, NOTHING).get(name) == size for each in expected)
