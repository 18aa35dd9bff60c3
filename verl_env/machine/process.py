"""One child process: started, read, killed, and abandoned when the kernel does not let it go."""

from __future__ import annotations

import os
import time

from verl_env.machine.fork import SIGKILL
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from typing import TypeAlias

    from verl_env.machine.fork import Forked

#: Seconds from the kill at the deadline until a child that is still there is abandoned.
GRACE = 0.25
#: Seconds that a pipe is still read after its child has ended, when a grandchild keeps it open.
LINGER = 0.1
#: Bytes kept of each of stdout and stderr; the rest is read and dropped, so that the child can go on.
MAX_BYTES = 16 << 20

_CHUNK = 1 << 16


@record
class Completed:
    """The child ended by itself; ``returncode`` is negative for a signal, as in ``subprocess``."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float
    truncated: bool = False


@record
class TimedOut:
    """The child was killed at its deadline and is gone; the output is what it had written by then."""

    argv: tuple[str, ...]
    stdout: bytes
    stderr: bytes
    seconds: float


@record
class Abandoned:
    """The child was killed at its deadline and did not end: it sleeps uninterruptibly in the kernel."""

    argv: tuple[str, ...]
    pid: int
    seconds: float
    stdout: bytes = b""
    stderr: bytes = b""


@record
class NotFound:
    """There is no such program."""

    argv: tuple[str, ...]


@record
class NotStarted:
    """The program is there and could not be started: no permission, wrong architecture, no more processes."""

    argv: tuple[str, ...]
    reason: str


#: What came of a child.
Outcome: TypeAlias = Completed | TimedOut | Abandoned | NotFound | NotStarted

#: Process ids of children that were abandoned and may still be there.
abandoned: set[int] = set()


class Child:
    """One child of a ``Children``; ``outcome`` is None while it runs."""

    __slots__ = (
        "_ended",
        "_kept",
        "_killed",
        "_last_words",
        "_process",
        "argv",
        "deadline",
        "max_bytes",
        "outcome",
        "started",
        "streams",
    )
    _process: subprocess.Popen[bytes] | Forked

    def __init__(self, argv: tuple[str, ...], *, deadline: float, max_bytes: int, last_words: bytes = b"") -> None:
        self.argv = argv
        self.deadline = deadline
        self.max_bytes = max_bytes
        self.outcome: Outcome | None = None
        self.started = time.monotonic()
        self.streams: dict[int, int] = {}
        self._kept = {1: bytearray(), 2: bytearray()}
        self._killed: float | None = None
        self._last_words = last_words
        self._ended: float | None = None

    def launch(self, env: Mapping[str, str] | None) -> None:
        """Start the program; one that cannot be started gets its outcome at once."""
        import subprocess  # noqa: PLC0415  (where all that is asked is known or forked, nothing is launched)

        try:
            process = subprocess.Popen(
                self.argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except FileNotFoundError:
            self.outcome = NotFound(self.argv)
            return
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.outcome = NotStarted(self.argv, str(error))
            return
        streams = {}
        for number, stream in ((1, process.stdout), (2, process.stderr)):
            if stream is not None:
                streams[number] = os.dup(stream.fileno())
                stream.close()
        self.adopt(process, streams)

    def adopt(self, process: subprocess.Popen[bytes] | Forked, streams: Mapping[int, int]) -> None:
        """Take over a process that runs, with the descriptors of its pipes."""
        self._process = process
        for number, stream in streams.items():
            os.set_blocking(stream, False)
            self.streams[number] = stream

    def read(self, number: int) -> bool:
        """Take one chunk of a stream; False when nothing more can be had now."""
        stream = self.streams[number]
        try:
            chunk = os.read(stream, _CHUNK)
        except BlockingIOError:
            return False
        kept = self._kept[number]
        kept += chunk[: max(0, self.max_bytes + 1 - len(kept))]
        if not chunk:
            os.close(self.streams.pop(number))
        return bool(chunk)

    def advance(self, now: float) -> None:
        """Note the end, kill at the deadline, and settle when nothing more is to be expected."""
        if self._last_words and self._kept[1].endswith(self._last_words):
            self._dismiss(now)
            return
        if self._ended is None and self._process.poll() is not None:
            self._ended = now
        if self._ended is not None:
            if not self.streams or now >= self._ended + LINGER:
                self._settle(now)
        elif self._killed is None:
            if now >= self.deadline:
                self.kill(now)
        elif now >= self._killed + GRACE:
            self.abandon(now)

    def kill(self, now: float) -> None:
        """Kill the process group; a child that runs as another user cannot be killed and will be abandoned."""
        self._killed = now
        try:
            os.killpg(self._process.pid, SIGKILL)
        except ProcessLookupError:
            self._kill_alone()
        except OSError:
            return

    def _kill_alone(self) -> None:
        """Kill a forked process that has not come to make a group of its own."""
        if self._process.returncode is None:
            try:
                os.kill(self._process.pid, SIGKILL)
            except OSError:
                return

    def _settle(self, now: float) -> None:
        """Take what the pipes still hold and fix the outcome of a child that has ended."""
        self._drain()
        seconds = now - self.started
        out, err = self._output()
        truncated = any(len(kept) > self.max_bytes for kept in self._kept.values())
        if self._killed is None:
            self.outcome = Completed(self.argv, self._process.returncode or 0, out, err, seconds, truncated)
        else:
            self.outcome = TimedOut(self.argv, out, err, seconds)

    def _drain(self) -> None:
        """Read what is there, then close: a grandchild may hold the other end and write for ever."""
        for number in tuple(self.streams):
            while len(self._kept[number]) <= self.max_bytes and self.read(number):
                pass
        for number in tuple(self.streams):
            os.close(self.streams.pop(number))

    def abandon(self, now: float) -> None:
        """Let go of a child that SIGKILL did not end."""
        self._let_go(-SIGKILL)
        self.outcome = Abandoned(self.argv, self._process.pid, now - self.started, *self._output())

    def _dismiss(self, now: float) -> None:
        """End a child that has said its last words; how it would have ended does not matter."""
        self.kill(now)
        self._let_go(0)
        self.outcome = Completed(self.argv, 0, *self._output(), now - self.started)

    def _let_go(self, code: int) -> None:
        """Close the pipes and see to it that neither Popen nor the exit of Python waits for the child."""
        for number in tuple(self.streams):
            os.close(self.streams.pop(number))
        # Popen warns about an object without a return code and keeps it for later waits.
        self._process.returncode = code
        abandoned.add(self._process.pid)

    def _output(self) -> tuple[bytes, bytes]:
        return bytes(self._kept[1][: self.max_bytes]), bytes(self._kept[2][: self.max_bytes])
