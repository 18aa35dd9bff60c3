"""One run at a time for one environment."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from verl_env.environment import journal
from verl_env.environment.errors import EnvironmentLocked, TargetPermission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from verl_env.environment.target import Target


@contextmanager
def locked(target: Target, *, seconds: float, waiting: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a target's store, which must be there.

    The kernel lets go of it when its process ends, however it ends (flock); where the file system knows no flock,
    filelock keeps a file with the process in it instead.

    Args:
        target: The environment.
        seconds: How long to wait for another run.
        waiting: Called once, with the holder in words, before waiting.

    Raises:
        EnvironmentLocked: another run held it all that time.
        TargetPermission: the lock cannot be made.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 (only a run that changes something needs it)

    lock = FileLock(target.lock)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting(_holder(target))
            lock.acquire(timeout=seconds, poll_interval=0.2)
    except Timeout:
        raise EnvironmentLocked(target.path, _holder(target)) from None
    except OSError as error:
        raise TargetPermission(target.path, error.strerror or str(error)) from error
    try:
        yield
    finally:
        lock.release()


def _holder(target: Target) -> str:
    current = journal.read(target.journal)
    return current.holder if current is not None else "another run of verl-env"
