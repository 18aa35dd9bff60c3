"""Words without which a pattern cannot match, so that most patterns are never compiled for a log that lacks them.

A report is up to 1.6 million characters and there are hundreds of patterns; those that begin with a class of
characters take a tenth of a second each. To look for a word takes a thousandth.
"""

from __future__ import annotations

import functools
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

if sys.version_info >= (3, 11):
    from re import _constants as constants  # type: ignore[attr-defined]
    from re import _parser as parser
else:
    import sre_constants as constants
    import sre_parse as parser

_SHORTEST = 3


def may_match(pattern: str, text: str) -> bool:
    """Whether a text holds one of the words that the pattern asks for; True where it asks for none."""
    words = words_of(pattern)
    return not words or any(word in text for word in words)


@functools.lru_cache(maxsize=4096)
def words_of(pattern: str) -> tuple[str, ...]:
    """Words one of which every match of a pattern holds; empty where there are none to rely on."""
    parsed = parser.parse(pattern, re.MULTILINE)
    if parsed.state.flags & re.IGNORECASE:
        return ()
    return _of_sequence(parsed.data) or ()


def _of_sequence(items: Sequence[tuple[Any, Any]]) -> tuple[str, ...] | None:
    """The alternatives that say most: those whose shortest word is the longest."""
    found: list[tuple[str, ...]] = []
    run = ""
    for code, value in (*items, (None, None)):
        if code is constants.LITERAL:
            run += chr(value)
            continue
        if len(run) >= _SHORTEST:
            found.append((run,))
        run = ""
        inner = _of_item(code, value)
        if inner:
            found.append(inner)
    return max(found, key=lambda words: (min(map(len, words)), -len(words)), default=None)


def _of_item(code: Any, value: Any) -> tuple[str, ...] | None:
    if code is constants.SUBPATTERN:
        _, added, _, inner = value
        return None if added & re.IGNORECASE else _of_sequence(inner.data)
    if code in {constants.MAX_REPEAT, constants.MIN_REPEAT} and value[0] > 0:
        return _of_sequence(value[2].data)
    if code is constants.BRANCH:
        return _of_branches(branch.data for branch in value[1])
    return None


def _of_branches(branches: Iterable[Sequence[tuple[Any, Any]]]) -> tuple[str, ...] | None:
    """The words of every branch; None where one of them has none."""
    every = [_of_sequence(branch) for branch in branches]
    return tuple(word for words in every for word in words or ()) if all(every) else None
