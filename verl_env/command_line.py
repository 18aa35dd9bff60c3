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


def visible(text: str) -> str:
    """A text whose control characters and marks of direction are shown as escapes; line ends and tabs stay.

    What others wrote could otherwise move the cursor, retitle the window or hide what a command says.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def one_line(text: str) -> str:
    """A value that has a line of its own, such as a path: line ends and tabs in it are shown as escapes too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _shown(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004
