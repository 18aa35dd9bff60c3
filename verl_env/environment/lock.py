"""One run at a time for one environment."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from verl_env.environment import journal
from verl_env.environment.errors import EnvironmentLockedError, TargetPermissionError
from verl_env.locking import StillHeldError, only_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from verl_env.environment.target import Target


@contextmanager
def locked(target: Target, *, seconds: float, waiting: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a target's store, which must be there.

    Args:
        target: The environment.
        seconds: How long to wait for another run.
        waiting: Called once, with the holder in words, before waiting.

    Raises:
        EnvironmentLockedError: another run held it all that time.
        TargetPermissionError: the lock cannot be made.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(only_run(target.lock, seconds=seconds, waiting=lambda: waiting(_holder(target))))
        except StillHeldError as held:
            raise EnvironmentLockedError(target.path, _holder(target), str(held)) from None
        except OSError as error:
            raise TargetPermissionError(target.path, error.strerror or str(error)) from error
        yield


def _holder(target: Target) -> str:
    current = journal.read(target.journal)
    return current.holder if current is not None else "another run of verl-env"
