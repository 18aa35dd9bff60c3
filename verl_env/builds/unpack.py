"""Unpacks archives of sources, and lets none of them write outside its directory."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from typing import TYPE_CHECKING

from verl_env.sizes import human

if TYPE_CHECKING:
    from pathlib import Path


class ArchiveInvalidError(ValueError):
    """No archive, one with a member that lies outside it, or one that holds more than there is room for."""


def unpack(archive: Path, directory: Path) -> Path:
    """Unpacks an archive (tar of any compression, or zip).

    Returns:
        The one directory that it holds, or ``directory`` where it holds several things.

    Raises:
        ArchiveInvalidError: it is none, or has a member that would lie outside the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, directory)
        else:
            with tarfile.open(archive) as opened:
                untar(opened, directory)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        message = f"{archive.name} cannot be unpacked: {error}"
        raise ArchiveInvalidError(message) from error
    entries = list(directory.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else directory


def _unzip(archive: Path, directory: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            _check(directory, name)
        _fits(sum(member.file_size for member in opened.infolist()), shutil.disk_usage(directory).free)
        opened.extractall(directory)  # noqa: S202 (each name is checked)


def untar(opened: tarfile.TarFile, directory: Path) -> None:
    """Member by member, as one may be a link that a later one goes through; what is no file, directory or link, not.

    Raises:
        ArchiveInvalidError: a member would lie outside the directory, or there is no room for all of them.
        tarfile.TarError: it is damaged.
    """
    free, held = shutil.disk_usage(directory).free, 0
    for member in opened:
        held += member.size
        _fits(held, free)
        _check(directory, member.name)
        if member.issym():
            _check(directory, os.path.join(os.path.dirname(member.name), member.linkname))  # noqa: PTH118, PTH120
        elif member.islnk():
            _check(directory, member.linkname)
        elif not member.isfile() and not member.isdir():
            continue
        member.mode = (member.mode & 0o755) | (0o700 if member.isdir() else 0o600)
        _extract(opened, member, directory)


def _fits(held: int, free: int) -> None:
    """Refuses what inflates without end before it fills the disk."""
    if held > free:
        message = f"it holds {human(held)} or more, and {human(free)} are free"
        raise ArchiveInvalidError(message)


def _check(directory: Path, name: str) -> None:
    root = os.path.realpath(directory)
    path = os.path.realpath(os.path.join(root, name))  # noqa: PTH118 (an absolute name replaces the root)
    if path != root and not path.startswith(f"{root}{os.sep}"):
        message = f"a member of the archive lies outside it: {name}"
        raise ArchiveInvalidError(message)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    """Python 3.14 filters by itself, and Pythons before 3.10.12 know no filter; what may be extracted is decided."""
    if hasattr(tarfile, "fully_trusted_filter"):
        archive.extract(member, directory, filter="fully_trusted")
    else:
        archive.extract(member, directory)
