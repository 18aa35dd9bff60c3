"""Changes of files that are whole or not there at all: by rename and by new names, never by writing in place."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Errors of link(2) that mean "not here": other file system, too many links, no hard links, not allowed.
_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
#: ``SYNC_FILE_RANGE_WRITE`` of sync_file_range(2).
_BEGIN_WRITING = 2
#: Errors of fsync(2) that mean "not here".
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EROFS, errno.EOPNOTSUPP}


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside the old one, with its mode, and renames it over it: no reader sees a part of it."""
    new = path.with_name(f".{path.name}.verl-env")
    new.write_bytes(content)
    if path.exists():
        new.chmod(path.stat().st_mode)
    new.replace(path)


def rewrite_bytes(path: Path, content: bytes) -> None:
    """Gives a file other content in a new file of the same name and mode; for files that nobody reads yet.

    Not by rename: on ext4 a rename over a file waits for the new one to be on the disk.
    """
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def link_or_copy(source: str, destination: str) -> None:
    """Gives a file a second name, or where hard links do not work, copies it with its mode and times.

    Raises:
        FileExistsError: the destination is there.
        OSError: it cannot be made.
    """
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        if os.path.lexists(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination) from error
        import shutil  # noqa: PLC0415 (5 ms, rarely needed)

        shutil.copy2(source, destination, follow_symlinks=False)


def sync_file_system(directory: Path) -> None:
    """Has everything written that was written so far on the file system of a directory, names and contents.

    One call: fsync of each of 26,000 new files took 79 s, and this one 1.3 s for 6,000. Where the C
    library has none, every file system is written.

    Raises:
        OSError: the file system says that something could not be written.
    """
    import ctypes  # noqa: PLC0415 (only what changes an environment needs it)

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(opened) != 0 and (code := ctypes.get_errno()) not in _NO_SYNC:
            raise OSError(code, os.strerror(code), str(directory))
    finally:
        os.close(opened)


def begin_writing(descriptor: int) -> None:
    """Has the system begin to write what of a file is not on the disk yet, and waits for nothing.

    Else gigabytes wait for the ``sync_file_system`` at the end. What cannot be begun is written then.
    """
    import ctypes  # noqa: PLC0415

    begin = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if begin is not None:
        begin.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
        begin(descriptor, 0, 0, _BEGIN_WRITING)


def sync_directory(directory: Path) -> None:
    """Has the names of a directory written, where its file system can."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(opened)


def remove_trees(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Removes directories and all else; what cannot be removed now (files in use on NFS) is returned."""
    import shutil  # noqa: PLC0415

    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:  # rmtree opens what it is given, and waits for the writer of a FIFO
            _unlink(path)
    return tuple(path for path in paths if os.path.lexists(path))


def hard_links_work(source: Path, destination: Path) -> bool:
    """Whether a file of one directory can be linked into another; tried, because mounts and file systems differ."""
    probe = source / f".verl-env-probe-{os.getpid()}"
    linked = destination / probe.name
    try:
        probe.touch()
        os.link(probe, linked)
    except OSError:
        return False
    else:
        return True
    finally:
        for path in (probe, linked):
            _unlink(path)


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return
