"""From what is wanted to one file at an address: what an installer would take on the machine that it is for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from verl_env.bundle.errors import BundleFileUnavailableError
from verl_env.bundle.model import WHEELS
from verl_env.locksets.index import Index, best_file
from verl_env.records import record
from verl_env.settings.mirrors import mirrored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from verl_env.bundle.model import Role
    from verl_env.locksets.index import IndexFile
    from verl_env.locksets.target import LockTarget

#: Pages of the index that are read side by side.
WORKERS = 8


@record
class BundleRequirement:
    """A distribution that a bundle is to hold.

    ``hashes`` are those that it may have (``sha256:...``), None for any; ``size`` is about what it takes, in bytes;
    ``url`` is set for what no index holds, ``index`` for what another one than the package index does; ``sdist`` asks
    for the source distribution and nothing else; ``built`` says that it is one, of which a wheel is made.
    """

    name: str
    version: str
    role: Role
    target: LockTarget
    hashes: frozenset[str] | None = None
    size: int = 0
    url: str | None = None
    sdist: bool = False
    folder: str = WHEELS
    index: str | None = None
    built: bool = False


@record
class Fetch:
    """One file to be fetched to ``path`` of the bundle.

    ``sha256`` is None where its address does not state it; it must be one of ``hashes`` (``sha256:...``) then, unless
    nobody recorded any.
    """

    path: str
    url: str
    sha256: str | None
    bytes: int
    role: Role
    name: str
    version: str
    target: LockTarget
    hashes: frozenset[str] | None = None

    def accepts(self, digest: str) -> bool:
        """Whether a SHA-256 is that of the file, as far as anybody recorded it."""
        if self.sha256 is not None:
            return digest == self.sha256
        return self.hashes is None or f"sha256:{digest}" in self.hashes

    @property
    def recorded(self) -> bool:
        """Whether anybody recorded what the file is."""
        return self.sha256 is not None or self.hashes is not None

    @property
    def is_sdist(self) -> bool:
        """Whether it is a source distribution."""
        return not self.path.endswith(".whl")


def look_up(wanted: Iterable[BundleRequirement], index: Index) -> Iterator[Fetch]:
    """The file for each; what two of them share is given once. All are looked up from now on, in threads.

    What is built when it has come is first, then the largest.

    Raises:
        BundleFileUnavailableError: when one is asked for that the index has no file for.
        IndexUnreachableError: likewise, when its page could not be read.
    """
    ordered = sorted(dict.fromkeys(wanted), key=lambda each: (not each.built, -each.size))
    pool = ThreadPoolExecutor(WORKERS)
    found = pool.map(lambda each: _find(each, index), ordered)
    pool.shutdown(wait=False)
    return _once(found)


def _once(found: Iterable[Fetch]) -> Iterator[Fetch]:
    unique: dict[str, Fetch] = {}
    for fetch in found:
        other = unique.setdefault(fetch.path, fetch)
        if other.sha256 != fetch.sha256:
            raise BundleFileUnavailableError(fetch.name, f"two different files are named {fetch.path}")
        if other is fetch:
            yield fetch


def _find(wanted: BundleRequirement, index: Index) -> Fetch:
    if wanted.url is not None:
        digest = next((each.removeprefix("sha256:") for each in sorted(wanted.hashes or ())), None)
        name = unquote(urlsplit(wanted.url).path.rsplit("/", 1)[-1])
        return _fetch(wanted, name, wanted.url, digest, wanted.size)
    index = index if wanted.index is None else Index(mirrored(wanted.index))
    file = _choose(wanted, index.release(wanted.name, wanted.version))
    if file is None:
        of_lock = " with a hash that the lock names" if wanted.hashes is not None else ""
        where = f"Python {wanted.target.python}, {wanted.target.arch}, glibc {wanted.target.glibc}"
        raise BundleFileUnavailableError(
            f"{wanted.name} {wanted.version}", f"the index has no file{of_lock} for {where}"
        )
    return _fetch(wanted, file.name, file.url, file.sha256, file.size or wanted.size)


def _choose(wanted: BundleRequirement, files: Sequence[IndexFile]) -> IndexFile | None:
    allowed = [file for file in files if _may_be(file, wanted.hashes)]
    if wanted.sdist:
        allowed = [file for file in allowed if not file.is_wheel]
    return best_file(allowed, wanted.target)


def _may_be(file: IndexFile, hashes: frozenset[str] | None) -> bool:
    """Whether a file may be one with these hashes; an index need not state any."""
    return hashes is None or file.sha256 is None or f"sha256:{file.sha256}" in hashes


def _fetch(wanted: BundleRequirement, name: str, url: str, sha256: str | None, size: int) -> Fetch:
    path = f"{wanted.folder}/{name}"
    return Fetch(path, url, sha256, size, wanted.role, wanted.name, wanted.version, wanted.target, wanted.hashes)
