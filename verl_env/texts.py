"""Lists and numbers as texts."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def listed(items: Iterable[str], last: str = "and") -> str:
    """``"a"``, ``"a and b"``, ``"a, b and c"``; ``last`` is the word before the last item."""
    words = list(items)
    if len(words) < 2:  # noqa: PLR2004  one item has nothing to be joined with
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(number: int, noun: str) -> str:
    """``"1 lockset"``, ``"3 locksets"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
