"""What ends a run from outside: Ctrl-C, SIGTERM, SIGHUP. The first unwinds it, and what is undone then is undone whole.

A second one while that goes on is only told that it does; a third ends the process at once, and what was left is
cleared away by the next run.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # every start reads this module; typing and contextlib are a tenth of a start
if TYPE_CHECKING:
    from types import FrameType

#: By whom each is asked for: a terminal, a scheduler, a terminal that went away.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds until an interruption that Python dropped is tried again.
_SOON = 0.01
#: Signals that end the process at once: so many have come.
_PATIENCE = 3
_STILL = b"\nclearing away what was begun; once more ends verl-env at once\n"


class Interrupted(KeyboardInterrupt):
    """The run was asked to end, by the signal of that number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number  # as a shell has it


class _State:
    """How many signals came, how many sections must not be interrupted, and the signal that waits for their end."""

    came = 0
    shields = 0
    waiting: int | None = None


def unwind_on_signals() -> None:
    """From now on these signals unwind the run; one that is ignored (nohup) or handled already stays so."""
    for number in SIGNALS:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _not_dropped


class shielded:  # noqa: N801 a context manager
    """A section that a first signal does not leave half done: it is heard at the section's end.

    Raises:
        Interrupted: it came.
    """

    def __enter__(self) -> None:
        _State.shields += 1

    def __exit__(self, *_: object) -> None:
        _State.shields -= 1
        number = _State.waiting
        if number is not None and not _State.shields:
            _State.waiting = None
            raise Interrupted(number)


def _not_dropped(dropped: sys.UnraisableHookArgs) -> None:
    """Python drops what is raised in a finalizer or around a fork: an interruption comes again a moment later."""
    error = dropped.exc_value
    if not isinstance(error, Interrupted):
        sys.__unraisablehook__(dropped)
        return

    def again(*_: object) -> None:
        _State.came -= 1
        _interrupt(error.args[0], None)

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, _SOON)


def _interrupt(number: int, _: FrameType | None) -> None:
    _State.came += 1
    if _State.came >= _PATIENCE:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    elif _State.came > 1:
        os.write(2, _STILL)
    elif _State.shields:
        _State.waiting = number
    else:
        raise Interrupted(number)
