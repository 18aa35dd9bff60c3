"""Where output goes: results on stdout, messages on stderr; colour and characters as the stream allows.

``NO_COLOR`` and ``FORCE_COLOR`` are read by rich; characters fall back to ASCII where the stream is not UTF-8.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

    from rich.console import Console

    from verl_env.errors import VerlEnvError


def confirmed(question: str) -> bool:
    """Whether the user at the terminal says yes to a question; it is asked on stderr."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def unicode_ok(stream: IO[str] | None = None) -> bool:
    """Whether a stream (stdout where none is given) can show box drawing and arrows."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "") in {"utf8", "utf8sig"}


def stdout_console() -> Console:
    """The console of results; lines are not wrapped unless a terminal has a width to wrap to."""
    return _console(sys.stdout)


def stderr_console() -> Console:
    """The console of progress and messages."""
    return _console(sys.stderr)


def print_json(data: Any) -> None:
    """One JSON document on stdout: indented for a reader at a terminal, on one line for a program."""
    print(json.dumps(data, indent=2 if sys.stdout.isatty() else None))


#: The commands in a line of a message, each to be kept on one line.
_COMMANDS = r"`[^`]+`|(?<=: )(?:verl-env|uv|pip|python3?|sudo|apt|export|unset|rm|mv|chmod|mkdir|ssh|git|ulimit) .*$"


def say(console: Console, text: str, *, style: str = "", end: str = "\n") -> None:
    """Prints a text as it is: no markup, no highlighting."""
    console.print(text, style=style or None, markup=False, highlight=False, end=end, soft_wrap=True)


def print_error(error: VerlEnvError) -> None:
    """An error on stderr: its id, its message and its hint."""
    console = stderr_console()
    console.print(f"[bold red]error[/]\\[{error.id}]: ", end="")
    console.print(wrapped(console, error.message, len(f"error[{error.id}]: ")), markup=False, highlight=False)
    if error.hint:
        console.print("[bold cyan]hint[/]: ", end="")
        console.print(wrapped(console, error.hint, len("hint: ")), markup=False, highlight=False)
    if os.environ.get("VERL_ENV_DEBUG"):
        console.print_exception()


def wrapped(console: Console, text: str, head: int = 0, indent: int = 0) -> str:
    """A text as lines of the terminal's width that break no word and no command; as it is where there is no terminal.

    A command stands behind a colon to the end of its line, or between backticks (``command_line``). One that does not
    fit has a line of its own, so that it can be copied.

    Args:
        console: Where it is shown.
        text: The text.
        head: Columns that are taken on its first line.
        indent: Columns that its other lines are indented by.
    """
    if not console.is_terminal:
        return text
    import re
    from textwrap import wrap

    lines = [re.sub(_COMMANDS, lambda found: found[0].replace(" ", "\0"), line) for line in text.splitlines()]
    width = max(console.width, indent + 24)
    parts = (
        part
        for number, line in enumerate(lines)
        for part in wrap(
            line,
            width,
            initial_indent="" if number else "\1" * head,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        or [""]
    )
    return "\n".join(parts).replace("\0", " ").replace("\1", "")


def _console(stream: IO[str]) -> Console:
    from rich.console import Console
    from rich.segment import Segment

    from verl_env.command_line import visible

    class Plain(Console):
        """A console on which a value cannot act: its control characters are shown."""

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else visible(text), style, control)

    width = None if stream.isatty() else _columns() or 160
    return Plain(file=stream, width=width, soft_wrap=True, highlight=False, emoji=False)


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and len(columns) < 5 else 0  # noqa: PLR2004
