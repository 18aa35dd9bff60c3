"""One run at a time for one thing: by flock(2), or where that is refused by a file that names the process."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock

#: What follows the name of a lock in that of the file with the process in it.
SUFFIX = ".held"


class StillHeldError(Exception):
    """Another run held a lock all the time that was given; the text names the file that must go if none does."""


@contextmanager
def only_run(path: Path, *, seconds: float, waiting: Callable[[], None], mode: int = 0o644) -> Iterator[None]:
    """Holds a lock.

    The kernel lets go of it when its process ends, however it ends. Where the file system refuses flock, for whatever
    reason, a file beside it names the process; the next run on the same host removes that of a process that has ended.

    Args:
        path: The lock's file, which is made and stays; its directory must be there.
        seconds: How long to wait for another run.
        waiting: Called once, before waiting.
        mode: Of the file.

    Raises:
        StillHeldError: another run held it all that time.
        OSError: the file cannot be made or opened.
    """
    from filelock import FileLock, SoftFileLock, Timeout  # noqa: PLC0415 (only a run that changes something needs it)

    lock: BaseFileLock = FileLock(path, mode=mode, fallback_to_soft=False)
    try:
        try:
            lock = _at_once(lock, SoftFileLock(path.with_name(path.name + SUFFIX), mode=mode))
        except Timeout as busy:
            waiting()
            lock = FileLock(path, mode=mode) if busy.lock_file == str(path) else SoftFileLock(busy.lock_file, mode=mode)
            lock.acquire(timeout=seconds, poll_interval=0.2)
    except Timeout as busy:
        raise StillHeldError("" if busy.lock_file == str(path) else busy.lock_file) from None
    try:
        yield
    finally:
        lock.release()


def _at_once(lock: BaseFileLock, instead: BaseFileLock) -> BaseFileLock:
    """Takes the first lock, or where the file system refuses flock, the second.

    Raises:
        Timeout: somebody else holds it.
        OSError: its file cannot be made or opened.
    """
    from filelock import Timeout  # noqa: PLC0415

    try:
        lock.acquire(timeout=0)
    except Timeout:  # an OSError too
        raise
    except OSError:
        os.close(os.open(lock.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW))
        instead.acquire(timeout=0)
        return instead
    return lock
