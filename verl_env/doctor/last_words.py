"""What a program said when it failed: its error first, then where it was raised and how the program ended."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from verl_env.doctor.ingest.clean import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s+File "(?P<path>[^"]+)", line (?P<line>\d+)(?:, in (?P<name>.+))?$')
#: Frames of the import itself, and of what was given with ``-c``.
_OF_IMPORT = re.compile(r"^<|/importlib/__init__\.py$")
#: Tracebacks that are no reason to end.
_IGNORED = re.compile(r"^(?:Exception ignored in|--- Logging error ---)")
#: What joins the tracebacks of a chain and the processes of a spawn, frames of C++, and what libraries say as they end.
_BESIDE = re.compile(
    r"^(?:During handling of the above|The above exception was|-- Process \d+ terminated|[WI]\d{4} )"
    r"|^Exception raised from .* \(most recent call first\):|^frame #\d+: "
    r"|^\[[WI]\d{4} |^\S+:\d+: \w*Warning: |^\s+warnings\.warn\("
)
#: Lines of a message, and of an output without a traceback, that are told.
_MESSAGE, _TAIL = 3, 3


def last_words(output: str, ended: str) -> tuple[str, ...]:
    """The error of the last traceback, the frames that raised it, and how the program ended.

    Args:
        output: What the program printed, its standard error last.
        ended: How it ended, such as ``"exit code 1"``; first where no traceback says more.
    """
    lines = clean(output).splitlines()
    starts = [index for index, line in enumerate(lines) if line.strip() == _HEAD and not _is_ignored(lines, index)]
    for start in reversed(starts):
        message, frames = _parsed(lines[start + 1 :])
        if message:
            return (*message, *frames, ended)
    said = [line.strip() for line in lines if line.strip() and not _BESIDE.search(line)]
    return (ended, *said[-_TAIL:])


def exit_words(returncode: int) -> str:
    """How a process ended, by its return code as ``subprocess`` has it: negative where a signal ended it."""
    try:
        return f"killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"
    except ValueError:
        return f"killed by signal {-returncode}"


def _is_ignored(lines: Sequence[str], index: int) -> bool:
    return index > 0 and bool(_IGNORED.match(lines[index - 1]))


def _parsed(lines: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The message and the frames of the traceback that these lines begin with; no message where another follows it."""
    end = next((index for index, line in enumerate(lines) if line.strip() and not line.startswith(" ")), len(lines))
    frames = [match for line in lines[:end] if (match := _FRAME.match(line))]
    message: list[str] = []
    for line in lines[end:]:
        if line.strip() == _HEAD or _IGNORED.match(line):
            break
        if line.strip() and not _BESIDE.search(line):
            joined = bool(message) and message[-1].endswith(":")
            message[-1:] = [f"{message[-1]} {line.strip()}"] if joined else [*message[-1:], line.strip()]
    kept = message if len(message) <= _MESSAGE else [message[0], *message[1 - _MESSAGE :]]
    return tuple(kept), _telling(frames)


def _telling(frames: Sequence[re.Match[str]]) -> tuple[str, ...]:
    """The innermost frame, and the nearest one above it that is of another package."""
    real = [frame for frame in frames if not _OF_IMPORT.search(frame["path"])]
    if not real:
        return ()
    inner = real[-1]
    outer = next((frame for frame in reversed(real) if _package(frame["path"]) != _package(inner["path"])), None)
    chosen = (inner,) if outer is None else (inner, outer)
    return tuple(f"at {_short(frame['path'])}:{frame['line']}{_in(frame['name'])}" for frame in chosen)


def _short(path: str) -> str:
    return re.sub(r"^.*/(?:site|dist)-packages/", "", path)


def _package(path: str) -> str:
    short = _short(path)
    return short.partition("/")[0] if short != path else path


def _in(name: str | None) -> str:
    return "" if name in {None, "<module>"} else f" in {name}"
