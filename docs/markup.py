"""Pieces of Markdown that the writers of pages share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


#: What begins or ends markup; an underscore inside a word does not.
_MARKUP = re.compile(r"[\\*<|`]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def section(title: str, lines: Iterable[str]) -> list[str]:
    """A heading with what stands below it; nothing where there is nothing."""
    body = list(lines)
    while body and not body[-1]:
        body.pop()
    return [f"## {title}", "", *body] if body else []


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table; nothing where there are no rows."""
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)] if rows else []


def prose(text: str) -> str:
    """A text with what Markdown would take for markup escaped, but for code between backticks."""
    parts = re.split(r"(`[^`|]+`)", text)
    return "".join(part if place % 2 else _MARKUP.sub(r"\\\g<0>", part) for place, part in enumerate(parts))


def code(text: str) -> str:
    """A text as code, also in a table."""
    escaped = text.replace("|", r"\|")
    return f"`{escaped}`"
