"""Installed files held against RECORD by existence and size: the one look that ``install`` and ``doctor`` share.

No content is read. The files of an environment that is in the system's cache are looked at in some tenths of a second.
"""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

from verl_env.reading import note, read_text
from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Literal, TypeAlias

    from verl_env.environment.installed import Distribution

    #: A path as RECORD writes it, its hash and its size in bytes; None where RECORD has none.
    Entry: TypeAlias = tuple[str, str | None, int | None]

#: What installers write into a metadata directory of themselves, and rewrite.
_REWRITTEN = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"})
#: Path, hash, size.
_FIELDS = 3
#: A size of so many digits is none.
_DIGITS = 19
_METADATA = ".dist-info/"
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


def recorded_files(file: str) -> tuple[Entry, ...] | None:
    """The files that a RECORD lists, without byte code; None where it cannot be read."""
    try:
        return tuple(_entries(read_text(file)))
    except OSError as error:
        note(file, error)
        return None


def size_damages(name: str, site: str, entries: Iterable[Entry]) -> Iterator[Damage]:
    """The files that are missing, or that have another size than the recorded one where there is one."""
    stat, prefix = os.stat, f"{site}/"
    for path, _, size in entries:
        full = path if path[:1] == "/" else prefix + path
        try:
            there = stat(full).st_size
        except (OSError, ValueError):
            yield Damage(name, full, "missing", "recorded, but not there", 0, size or 0)
            continue
        if size is not None and there != size:
            yield Damage(name, full, "size", f"{there} bytes instead of {size}", there, size)


def spoiled(
    site: Path, have: Mapping[str, Distribution], known: Mapping[str, Mapping[str, int | None]] = NOTHING
) -> dict[str, Spoiled]:
    """The distributions of a directory of packages that are not as they were installed, by name.

    Scripts count when they are gone or empty only: installers and relocation write them anew. So do paths that
    several distributions list with different sizes, where the file has none of these.

    Args:
        site: The directory.
        have: What is in it; what is not whole by its metadata is passed over.
        known: Files by distribution, with sizes, that were so from the start: they count for nothing.
    """
    lists = {name: recorded_files(f"{each.folder}/RECORD") for name, each in have.items() if each.whole}
    sizes = _sizes(entries for entries in lists.values() if entries is not None)
    found: dict[str, Spoiled] = {}
    for name, entries in lists.items():
        if entries is None:
            found[name] = Spoiled(name, {})
            continue
        before = known.get(name, NOTHING)
        files = _spoiled_files(name, str(site), entries, sizes)
        if left := {file: size for file, size in files if before.get(file, -1) != size}:
            found[name] = Spoiled(name, left)
    return found


def _spoiled_files(
    name: str, site: str, entries: Sequence[Entry], sizes: Mapping[str, set[int]]
) -> Iterator[tuple[str, int | None]]:
    """The files that count, each with its size; None where it is missing."""
    mine = [entry for entry in entries if (entry[0][:1] not in "/." and _METADATA not in entry[0]) or _counts(entry[0])]
    start = len(site) + 1
    for damage in size_damages(name, site, mine):
        path = damage.path[start:]
        is_script = path.startswith("../") and damage.there > 0
        if damage.what == "missing":
            yield path, None
        elif not is_script and damage.there not in sizes.get(path, ()):
            yield path, damage.there


def _counts(path: str) -> bool:
    """Whether a path is of a file of the environment that nobody but its distribution writes."""
    if _METADATA in path:
        return path.rpartition("/")[2] not in _REWRITTEN
    return not path.startswith(("/", "../../../../"))


def _sizes(lists: Iterable[Sequence[Entry]]) -> dict[str, set[int]]:
    """The sizes of each path that is listed with more than one."""
    first: dict[str, int] = {}
    several: dict[str, set[int]] = {}
    for entries in lists:
        for path, _, size in entries:
            if size is not None and first.setdefault(path, size) != size:
                several.setdefault(path, {first[path]}).add(size)
    return several


def _entries(text: str) -> Iterator[Entry]:
    try:
        for row in csv.reader(text.splitlines()):
            if len(row) < _FIELDS or "__pycache__" in row[0] or row[0].endswith(".pyc"):
                continue
            path = row[0] if len(row) == _FIELDS else ",".join(row[:-2])  # commas that ought to be quoted
            digest, size = row[-2:]
            yield path, digest or None, int(size) if size.isascii() and size.isdigit() and len(size) < _DIGITS else None
    except csv.Error as error:
        raise OSError(str(error)) from error
