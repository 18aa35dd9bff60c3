"""Runs an installer: its output shown as it comes and kept, its life bound to ours.

On a terminal it gets a pseudo-terminal of the same size, so that its progress bars work; what it writes is passed on
and its end is kept for errors. Without one it gets a pipe. It is killed with this process, however that ends, because
a left-over installer would go on writing into a generation that the next run clears away.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from verl_env.installers.isolation import WORKING_DIRECTORY
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from verl_env.installers.base import Command

#: Bytes of output that are kept: the cause of a failure is at its end.
KEPT_BYTES = 1 << 18
#: Seconds between the signals that end an installer: interrupt, terminate, kill.
PATIENCE = 3.0

_CHUNK = 1 << 16
_POLL = 0.1
_PR_SET_PDEATHSIG = 1
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@record
class CommandResult:
    """How a command ended: its exit code (negative for a signal) and the end of its output as plain text."""

    code: int
    output: str


def run(
    command: Command,
    show: Callable[[bytes], None] | None = None,
    *,
    watch: Callable[[bytes], None] | None = None,
    cwd: Path = WORKING_DIRECTORY,
) -> CommandResult:
    """Runs a command to its end.

    Args:
        command: The program, its arguments and its environment; stdin is empty.
        show: Gets the output as it comes, with terminal control; the command then runs on a pseudo-terminal. None
            runs it on a pipe.
        watch: Gets the output as it comes, and nothing at least every tenth of a second while none comes.
        cwd: The directory that it runs in.

    Raises:
        OSError: it cannot be started.
        KeyboardInterrupt: the user interrupted; the command and its children have ended.
    """
    with _output_pair(terminal=show is not None) as (ours, theirs):
        process = subprocess.Popen(
            command.argv,
            env=dict(command.env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_die_with_parent(os.getpid()),  # noqa: PLW1509 (no threads run when it is called)
        )
        os.close(theirs)
        try:
            kept = _read(ours, process, [each for each in (show, watch) if each is not None], watch)
            return CommandResult(process.wait(), plain_text(kept))
        finally:
            _end(process)


def plain_text(output: bytes) -> str:
    """Output of a terminal as text: without control sequences, and of each redrawn line its last state."""
    text = _ESCAPES.sub("", output.decode("utf-8", "replace")).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n"))


@contextlib.contextmanager
def _output_pair(*, terminal: bool) -> Iterator[tuple[int, int]]:
    """A descriptor to read from and one to write to; the second is closed by who uses it."""
    if terminal:
        ours, theirs = os.openpty()
        _make_plain(theirs)
    else:
        ours, theirs = os.pipe()
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def _make_plain(descriptor: int) -> None:
    """Gives a pseudo-terminal the size of ours, and leaves the ends of lines to ours."""
    import fcntl  # noqa: PLC0415
    import termios  # noqa: PLC0415

    with contextlib.suppress(OSError, ValueError):
        settings = termios.tcgetattr(descriptor)
        settings[1] &= ~termios.OPOST
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)


def _read(
    descriptor: int,
    process: subprocess.Popen[bytes],
    takers: Sequence[Callable[[bytes], None]],
    watch: Callable[[bytes], None] | None,
) -> bytes:
    """Reads until the command has ended and nothing more comes, even if a grandchild keeps the other end open."""
    kept = bytearray()
    while True:
        ready, _, _ = select.select([descriptor], [], [], _POLL)
        if not ready:
            if process.poll() is not None:
                break
            if watch is not None:
                watch(b"")
            continue
        try:
            chunk = os.read(descriptor, _CHUNK)
        except OSError:  # EIO: the last writer closed the pseudo-terminal
            break
        if not chunk:
            break
        for take in takers:
            take(chunk)
        kept += chunk
        del kept[:-KEPT_BYTES]
    return bytes(kept)


def _die_with_parent(parent: int) -> Callable[[], None]:
    """What the child does before it becomes the command: asks to be killed when its parent ends (prctl(2))."""
    import ctypes  # noqa: PLC0415

    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of a command: asks, asks again, kills; its whole session each time."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, number)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.poll() is not None:
            break
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
