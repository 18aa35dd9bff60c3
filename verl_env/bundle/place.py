"""The directory that a bundle is made in: one run at a time, and nothing in it that is not of the bundle."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from typing import TYPE_CHECKING

from verl_env.bundle.errors import BundleBusyError, BundleTargetForeignError
from verl_env.bundle.model import BOM, BOOTSTRAP, LOCKSETS, MANIFEST, RUNTIME, TOOL, WHEELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: Everything that may lie at the top of a bundle.
_TOP = frozenset({MANIFEST, f".{MANIFEST}.part", BOOTSTRAP, BOM, WHEELS, TOOL, LOCKSETS, RUNTIME})
_BUSY = frozenset({errno.EWOULDBLOCK, errno.EAGAIN})


@contextlib.contextmanager
def held(root: Path) -> Iterator[None]:
    """Makes the directory where it is not there, and keeps other runs out, where the file system can.

    Raises:
        BundleTargetForeignError: it is something that is not of a bundle.
        BundleBusyError: another run holds it.
        OSError: it cannot be made.
    """
    _check(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleTargetForeignError(root, f"no place to write to ({error.strerror})") from error
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                raise BundleBusyError(root) from error
        yield
    finally:
        os.close(descriptor)


def clear(root: Path, keep: Iterable[str]) -> None:
    """Removes what a bundle does not name: parts of files, and what an earlier one in the same place had."""
    kept = set(keep)
    for directory, _, names in os.walk(root, topdown=False):
        for name in names:
            path = os.path.join(directory, name)  # noqa: PTH118
            if os.path.relpath(path, root) not in kept:
                os.unlink(path)  # noqa: PTH108
        if directory != str(root):
            with contextlib.suppress(OSError):
                os.rmdir(directory)  # noqa: PTH106


def remove(root: Path) -> None:
    """Removes a directory with everything in it."""
    shutil.rmtree(root, ignore_errors=True)


def _check(root: Path) -> None:
    if not os.path.lexists(root):
        return
    if not root.is_dir():
        raise BundleTargetForeignError(root, "a file")
    names = {path.name for path in root.iterdir()}
    if names and (names - _TOP or not names & {MANIFEST, WHEELS}):
        raise BundleTargetForeignError(root, "a directory with other files")
