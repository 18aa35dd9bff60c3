"""Whether a bundle is what its manifest says: every file, before anything of it is used."""

from __future__ import annotations

import os
import stat
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from verl_env.bundle.errors import BundleDamagedError, BundleInvalidError
from verl_env.bundle.manifest import from_bytes
from verl_env.bundle.model import MANIFEST, WHEELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from verl_env.bundle.model import Manifest

_CHUNK = 1 << 20
#: Files that are read side by side.
_WORKERS = min(8, os.cpu_count() or 1)


class Store(Protocol):
    """Where the files of a bundle lie: a directory or a tar file."""

    path: Path

    def names(self) -> Mapping[str, int | None]:
        """Every file by its path, with its size in bytes; None for what is no ordinary file."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """The contents of a file."""


def is_bundle(path: Path) -> bool:
    """Whether a path is meant as a bundle: a directory with a manifest or the parts of one, or a file."""
    return path.is_file() or (path / MANIFEST).exists() or ((path / WHEELS).is_dir() and (path / "tool").is_dir())


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """The store of a bundle.

    Raises:
        BundleInvalidError: there is nothing, or a file that is no tar file.
    """
    if path.is_dir():
        yield BundleFolder(path)
        return
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115 (closed below)
    except FileNotFoundError as error:
        raise BundleInvalidError(path, "there is nothing of that name") from error
    except (OSError, tarfile.TarError) as error:
        raise BundleInvalidError(path, f"it is no tar file ({error})") from error
    with archive:
        try:
            yield BundleArchive(path, archive)
        except tarfile.TarError as error:
            raise BundleInvalidError(path, f"its tar file ends early or is damaged ({error})") from error


def read_manifest(store: Store) -> Manifest:
    """The manifest of a bundle.

    Raises:
        BundleInvalidError: there is none, or none that can be read.
    """
    if store.names().get(MANIFEST) is None:
        raise BundleInvalidError(
            store.path, f"it has no {MANIFEST}; the run that made it did not end, or it was removed"
        )
    return from_bytes(b"".join(store.chunks(MANIFEST)), store.path)


def verify(store: Store, manifest: Manifest, progress: Callable[[int], None] = lambda _: None) -> None:
    """Compares every file with the manifest.

    Args:
        store: The bundle.
        manifest: What it says of itself.
        progress: Called with the number of bytes that were read.

    Raises:
        BundleDamagedError: some differ; it names them all.
    """
    have = store.names()
    want = {file.path: file for file in manifest.files}
    there = [file for file in manifest.files if have.get(file.path) is not None]
    with ThreadPoolExecutor(_WORKERS) as pool:
        digests = dict(
            zip(
                (file.path for file in there),
                pool.map(lambda file: _digest(store, file.path, progress), there),
                strict=True,
            )
        )
    origin = {file.sha256: file.path for file in manifest.files}
    wrong = [path for path, digest in digests.items() if digest != want[path].sha256]
    swapped = [path for path in wrong if digests[path] in origin]
    faults = {
        "changed": sorted(set(wrong) - set(swapped)),
        "swapped": sorted(f"{path} (it is {origin[digests[path] or '']})" for path in swapped),
        "missing": sorted(path for path in want if path not in have),
        "added": sorted(path for path in have if path not in want and path != MANIFEST),
        "not a file": sorted(path for path in want if path in have and have[path] is None),
    }
    if any(faults.values()):
        raise BundleDamagedError(store.path, {kind: tuple(names) for kind, names in faults.items() if names})


def _digest(store: Store, name: str, progress: Callable[[int], None]) -> str | None:
    """The SHA-256 of a file; None where it cannot be read."""
    digest = sha256()
    try:
        for chunk in store.chunks(name):
            digest.update(chunk)
            progress(len(chunk))
    except OSError:
        return None
    return digest.hexdigest()


class BundleFolder:
    """A bundle that is a directory; links in it are not followed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> Mapping[str, int | None]:
        found: dict[str, int | None] = {}
        for directory, folders, names in os.walk(self.path):
            for name in [*names, *(each for each in folders if Path(directory, each).is_symlink())]:
                path = Path(directory, name)
                status = path.lstat()
                found[path.relative_to(self.path).as_posix()] = status.st_size if stat.S_ISREG(status.st_mode) else None
        return found

    def chunks(self, name: str) -> Iterator[bytes]:
        descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


class BundleArchive:
    """A bundle that is a tar file, which is read where it is."""

    def __init__(self, path: Path, archive: tarfile.TarFile) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        self._members: dict[str, tarfile.TarInfo] = {}
        self._twice: set[str] = set()
        for member in archive:
            if member.name in self._members:
                self._twice.add(member.name)
            if not member.isdir():
                self._members[member.name] = member

    def __del__(self) -> None:
        os.close(self._descriptor)

    def names(self) -> Mapping[str, int | None]:
        plain = {name for name, member in self._members.items() if member.type in tarfile.REGULAR_TYPES}
        return {name: member.size if name in plain - self._twice else None for name, member in self._members.items()}

    def chunks(self, name: str) -> Iterator[bytes]:
        member = self._members[name]
        at, end = member.offset_data, member.offset_data + member.size
        while at < end:
            chunk = os.pread(self._descriptor, min(_CHUNK, end - at), at)
            if not chunk:
                raise OSError(self.path, "the file ends early")
            yield chunk
            at += len(chunk)
