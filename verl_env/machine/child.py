"""Child processes that cannot hang their parent: everything that runs vendor code goes through here.

A tool that talks to a wedged driver sleeps uninterruptibly: SIGKILL does not end it, and every wait for it (that of
``subprocess.run(timeout=...)``, of ``Popen.communicate`` and of Popen's context manager included) lasts for ever.
A child here has a deadline. At the deadline its whole process group is killed; ``GRACE`` seconds later what is still
there is abandoned: its pipes are closed and nobody waits for it, now or at exit.
"""

from __future__ import annotations

import os
import select
import time

from verl_env.machine.process import (
    GRACE,
    MAX_BYTES,
    Abandoned,
    Child,
    Completed,
    NotFound,
    NotStarted,
    Outcome,
    TimedOut,
    abandoned,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from verl_env.machine.fork import Forked

__all__ = [
    "GRACE",
    "MAX_BYTES",
    "Abandoned",
    "Child",
    "Children",
    "Completed",
    "NotFound",
    "NotStarted",
    "Outcome",
    "TimedOut",
    "run",
    "run_all",
]

_POLL = 0.02


class Children:
    """Children that run side by side, each with a deadline and all of them below a common one.

    Waiting for one serves the pipes and the deadlines of all, so that a second hanging child costs no second wait.
    Leaving the ``with`` block kills what still runs and waits for nothing.

    Args:
        deadline: The time of ``time.monotonic()`` at which every child is killed.
    """

    def __init__(self, *, deadline: float) -> None:
        self.deadline = deadline
        self._running: list[Child] = []

    def __enter__(self) -> Children:  # noqa: PYI034  (typing.Self came with 3.11)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now = time.monotonic()
        for child in self._running:
            child.kill(now)
        for child in self._running:
            child.abandon(now)
        self._running.clear()
        _reap_abandoned()

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        deadline: float | None = None,
        max_bytes: int = MAX_BYTES,
        last_words: bytes = b"",
    ) -> Child:
        """Start a program in a session of its own, without a terminal and with stdin at its end.

        Args:
            argv: The program, looked up on PATH when it holds no slash, and its arguments.
            env: Its whole environment; None for that of this process.
            deadline: A deadline of its own; the common one counts when that comes first.
            max_bytes: How much is kept of stdout and of stderr.
            last_words: An end of stdout after which nothing more comes: the child then counts as completed, with
                code 0, and is killed, so that nobody waits for what it does at its exit. Nothing means no such end.

        Returns:
            The child; its ``outcome`` is set already when it could not be started.
        """
        _reap_abandoned()
        own = self.deadline if deadline is None else min(deadline, self.deadline)
        child = Child(tuple(argv), deadline=own, max_bytes=max_bytes, last_words=last_words)
        child.launch(env)
        if child.outcome is None:
            self._running.append(child)
        return child

    def adopt(self, forked: Forked, name: str, *, max_bytes: int = MAX_BYTES, last_words: bytes = b"") -> Child:
        """Take over a forked process; it stands in outcomes by its name, for the rest see ``start``."""
        child = Child((name,), deadline=self.deadline, max_bytes=max_bytes, last_words=last_words)
        streams, forked.streams = forked.streams, {}
        child.adopt(forked, streams)
        self._running.append(child)
        return child

    def wait(self, child: Child) -> Outcome:
        """The outcome of one child, at the latest ``GRACE`` seconds after its deadline."""
        while child.outcome is None:
            self._turn()
        return child.outcome

    def look(self, child: Child, seconds: float) -> Outcome | None:
        """The outcome of one child as soon as it has one; None where it has none after some seconds."""
        until = time.monotonic() + seconds
        while child.outcome is None and time.monotonic() < until:
            self._turn()
        return child.outcome

    def _turn(self) -> None:
        """Read what is there, sleep until something may happen, and advance every child."""
        poll = select.poll()
        readers: dict[int, tuple[Child, int]] = {}
        for child in self._running:
            for number, stream in child.streams.items():
                readers[stream] = child, number
                poll.register(stream, select.POLLIN)
        for stream, _ in poll.poll(1000 * self._pause(time.monotonic())):
            child, number = readers[stream]
            child.read(number)
        now = time.monotonic()
        for child in self._running:
            child.advance(now)
        self._running = [child for child in self._running if child.outcome is None]

    def _pause(self, now: float) -> float:
        """Seconds to sleep: short when a child has closed its pipes, as its end is near and shows nowhere else."""
        pause = _POLL if all(child.streams for child in self._running) else _POLL / 10
        return max(0.0, min([pause, *(child.deadline - now for child in self._running if child.deadline > now)]))


def run(
    argv: Sequence[str], *, deadline: float, env: Mapping[str, str] | None = None, max_bytes: int = MAX_BYTES
) -> Outcome:
    """Run one program to its end or its deadline; for the arguments see ``Children.start``."""
    with Children(deadline=deadline) as children:
        return children.wait(children.start(argv, env=env, max_bytes=max_bytes))


def run_all(
    argvs: Sequence[Sequence[str]], *, deadline: float, env: Mapping[str, str] | None = None, max_bytes: int = MAX_BYTES
) -> tuple[Outcome, ...]:
    """Run programs side by side below one deadline; the outcomes are in the order of the programs."""
    with Children(deadline=deadline) as children:
        started = [children.start(argv, env=env, max_bytes=max_bytes) for argv in argvs]
        return tuple(children.wait(child) for child in started)


def _reap_abandoned() -> None:
    """Free the process table entries of abandoned children that have ended since."""
    for pid in tuple(abandoned):
        try:
            gone, _ = os.waitpid(pid, os.WNOHANG)
        except OSError:
            gone = pid
        if gone:
            abandoned.discard(pid)
