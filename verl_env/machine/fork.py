"""A function of this program in a process of its own, without the start of another interpreter.

Nothing but ``os`` is imported here: a fork comes before everything else that the program loads.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_TASKS = "/proc/self/task"
#: As in ``signal``, which takes half a millisecond to load.
SIGKILL = 9


class Forked:
    """A forked process, with what ``Child`` needs of ``subprocess.Popen``; who holds it must kill or adopt it."""

    __slots__ = ("pid", "returncode", "streams")

    def __init__(self, pid: int, streams: dict[int, int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.streams = streams

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def close(self) -> None:
        """Kill the process unless it is known to have ended; nobody waits for it."""
        for descriptor in self.streams.values():
            _close(descriptor)
        self.streams = {}
        if self.returncode is None:
            try:
                os.kill(self.pid, SIGKILL)
            except OSError:
                return


def fork(work: Callable[[], None], *, unset: Sequence[str] = ()) -> Forked | None:
    """Run a function in a session of its own, without a terminal, stdin at its end, stdout and stderr in pipes.

    The process has the environment that this one was started with, and ends with the function.

    Args:
        work: The function; what it raises is lost, the exit code is then 1.
        unset: Variables that it does not get.

    Returns:
        The process; None where this process has other threads, whose locks a fork would copy, or may not fork.
    """
    try:
        if len(os.listdir(_TASKS)) != 1:  # noqa: PTH208  (pathlib is slow to load)
            return None
        pipes = {number: os.pipe() for number in (1, 2)}
        pid = os.fork()
    except OSError:
        return None
    if pid == 0:
        _become(work, {number: write for number, (_, write) in pipes.items()}, unset)
    for _, write in pipes.values():
        os.close(write)
    return Forked(pid, {number: read for number, (read, _) in pipes.items()})


def _become(work: Callable[[], None], pipes: dict[int, int], unset: Sequence[str]) -> NoReturn:
    """The life of the child; whatever happens, it does not return into the program of its parent."""
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, write in pipes.items():
            os.dup2(write, number)
        # Whoever reads the parent's output must not wait for a child that the kernel does not let go.
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
            if int(name) > 2:  # noqa: PLR2004
                _close(int(name))
        for name in unset:
            os.unsetenv(name)
        work()
        code = 0
    finally:
        os._exit(code)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return
