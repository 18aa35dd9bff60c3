"""Commands as messages print them: composed in this one place, quoted for a shell, so that each works as printed.

A command stands last on its line of a message, behind a colon, or between backticks.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "verl-env"


def command(*words: str | Path) -> str:
    """A command of verl-env: ``command("install", "--into", "my env")`` is ``verl-env install --into 'my env'``."""
    return quoted(PROGRAM, *words)


def quoted(*words: str | Path) -> str:
    """Words as a shell has to be given them."""
    from shlex import join  # noqa: PLC0415  only messages need it

    return join(map(str, words))
