"""A launcher whose lines are taken as they come: with a deadline, and with nothing kept of what was taken."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from typing import IO, TYPE_CHECKING

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Seconds that a launcher is given to end by itself after the last answer, and after a signal.
_GRACE = 5.0
_CHUNK = 1 << 18


@record
class Ended:
    """How a launcher ended: ``code`` as in ``subprocess``, None where it was stopped; ``late`` at its deadline."""

    code: int | None
    late: bool
    seconds: float


class _StreamLines:
    """The lines of one stream, handed on whole; parts of a long one are joined once."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            self._take(b"".join((*self._parts, line)))
            self._parts.clear()
        if rest:
            self._parts.append(rest)

    def close(self) -> None:
        if self._parts:
            self._take(b"".join(self._parts))
            self._parts.clear()


def stream(  # noqa: PLR0913  (a launcher has that many sides)
    argv: Sequence[str],
    *,
    seconds: float,
    on_line: Callable[[bytes], None],
    on_error: Callable[[bytes], None],
    done: Callable[[], bool] = lambda: False,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    patience: float = _GRACE,
) -> Ended:
    """Runs a launcher and hands on each line of its stdout and stderr.

    It is left as soon as ``done`` says that nothing more is expected: a launcher may wait for what will never come, as
    srun does for a task that the kernel does not let go. ``patience`` is how long it may then take to end by itself.

    Raises:
        OSError: the program cannot be started.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        argv, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        late = not _serve(process, started + seconds, on_line, on_error, done)
        code = None if late else _settled(process, patience)
        return Ended(code, late, time.monotonic() - started)
    finally:
        _stop(process)


def _serve(
    process: subprocess.Popen[bytes],
    deadline: float,
    on_line: Callable[[bytes], None],
    on_error: Callable[[bytes], None],
    done: Callable[[], bool],
) -> bool:
    """Reads until both streams end or nothing more is expected; False at the deadline."""
    with selectors.DefaultSelector() as selector:
        for pipe, take in ((process.stdout, on_line), (process.stderr, on_error)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, _StreamLines(take))
        while selector.get_map() and not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in selector.select(min(left, 1.0)):
                chunk = os.read(key.fd, _CHUNK)
                if chunk:
                    key.data.feed(chunk)
                else:
                    key.data.close()
                    selector.unregister(key.fileobj)
    return True


def _settled(process: subprocess.Popen[bytes], patience: float) -> int | None:
    """The exit code of a launcher that has said everything; None where it does not end. What it still says is lost."""
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return _wait(process, patience)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends what still runs: first so that srun can cancel its step, then for good; never waits without an end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, number)
        except OSError:
            break
        _wait(process, _GRACE)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
