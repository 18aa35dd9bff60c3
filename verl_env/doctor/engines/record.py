"""RECORD files: which files belong to whom, which two distributions claim, which are missing or changed."""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.damage import Damage, size_damages
from verl_env.environment.record import recorded_files
from verl_env.reading import open_regular, read_text
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from verl_env.doctor.engines.metadata import Described

_CHUNK = 1 << 20
#: What the parser says of a source that ends too early, in Python 3.10 to 3.14.
_OPEN_END = re.compile(
    r"never closed|unterminated|unexpected EOF|EOF while|expected an indented block|expected '[^']*except"
)


@record
class Owned:
    """The recorded files of one distribution: relative path, hash and size (None where they are not recorded)."""

    distribution: Described
    entries: tuple[tuple[str, str | None, int | None], ...]


@record
class Clash:
    """A path that several distributions claim with different contents; ``holder`` is the one whose size it has."""

    path: str
    owners: tuple[str, ...]
    holder: str | None


def read_record(distribution: Described) -> Owned:
    """The recorded files of a distribution, without byte code; empty where it has no RECORD."""
    return Owned(distribution, recorded_files(distribution.path) or ())


def clashes(records: Iterable[Owned]) -> list[Clash]:
    """Paths that two distributions of one directory claim with different recorded contents."""
    first: dict[tuple[str, str], tuple[str, str | None, int | None]] = {}
    shared: dict[tuple[str, str], list[tuple[str, str | None, int | None]]] = {}
    for owned in records:
        site, name = owned.distribution.site, owned.distribution.name
        for path, digest, size in owned.entries:
            before = first.setdefault((site, path), (name, digest, size))
            if before[0] != name:
                shared.setdefault((site, path), [before]).append((name, digest, size))
    return [_clash(site, path, claims) for (site, path), claims in shared.items() if len({c[1] for c in claims}) > 1]


def damages(owned: Owned, *, foreign: frozenset[str] = frozenset(), deep: bool = False) -> Iterator[Damage]:
    """Recorded files that are missing or have another size; with ``deep``, another hash.

    Args:
        owned: The files of one distribution.
        foreign: Paths that another distribution claims too; they are nobody's damage.
        deep: Whether to read and hash every file.
    """
    site, name = owned.distribution.site, owned.distribution.name
    entries = [entry for entry in owned.entries if entry[0] not in foreign and entry[2] is not None]
    found = list(size_damages(name, site, entries))
    yield from found
    if not deep:
        return
    off = {damage.path for damage in found}
    for path, digest, _ in entries:
        full = os.path.join(site, path)  # noqa: PTH118  a hot loop
        if full not in off and digest and not hash_matches(full, digest):
            yield Damage(name, full, "hash", f"contents differ from {digest}")


def came_so(damage: Damage, owned: Owned, usual: Mapping[str, int | None]) -> bool:
    """Whether a file is as its wheel brought it: ``usual`` has the size of each file that is not as its RECORD says."""
    path = os.path.relpath(damage.path, owned.distribution.site)
    return usual.get(path, -1) == (None if damage.what == "missing" else damage.there)


def is_cut(damage: Damage) -> bool:
    """Whether a Python module ends before its end: less than half of it is left, or what is left ends in the midst.

    An edit leaves a module that can be parsed, or one whose fault is not at its end.
    """
    if damage.what != "size" or not damage.path.endswith(".py") or damage.there >= damage.recorded:
        return False
    return 2 * damage.there < damage.recorded or _ends_in_the_midst(Path(damage.path))


def _ends_in_the_midst(path: Path) -> bool:
    """Whether a module's source is at fault where it ends; syntax that this Python does not know is elsewhere."""
    try:
        text = read_text(path)
        ast.parse(text)
    except SyntaxError as error:
        last = len(text.splitlines())
        return bool(_OPEN_END.search(error.msg)) or (error.lineno or 0) >= last
    except (OSError, ValueError, RecursionError, MemoryError):
        return False
    return False


def hash_matches(path: str | Path, digest: str) -> bool:
    """Whether a file has a hash as RECORD writes it (``sha256=`` and base64 without padding)."""
    algorithm, _, expected = digest.partition("=")
    if algorithm not in hashlib.algorithms_available:
        return True
    found = hashlib.new(algorithm)
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode() == expected


def _clash(site: str, path: str, claims: Sequence[tuple[str, str | None, int | None]]) -> Clash:
    try:
        size: int | None = (Path(site) / path).stat().st_size
    except OSError:
        size = None
    holders = [name for name, _, claimed in claims if claimed is not None and claimed == size]
    return Clash(path, tuple(name for name, _, _ in claims), holders[0] if len(holders) == 1 else None)
