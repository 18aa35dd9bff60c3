"""Words without which a pattern cannot match, so that most patterns are never compiled for a log that lacks them.

A report is up to 1.6 million characters and there are hundreds of patterns; those that begin with a class of
characters take a tenth of a second each. To look for a word takes a thousandth.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    #: Words of which every match has one; None where there are none to rely on.
    Words: TypeAlias = tuple[str, ...] | None
    #: A kind of ``_TOKEN``, its text, and how it is repeated: at least once (``some``), perhaps not (``none``), or "".
    Step: TypeAlias = tuple[str, str, str]

_SHORTEST = 3
#: What is not followed (case or blanks that do not count, flags of a part, conditions, atoms): no words are relied on.
_NOT_FOLLOWED = re.compile(r"\(\?(?:[a-zA-Z]*[ix]|[a-zA-Z-]+:|\(|>)")
#: One step through a pattern; an escaped punctuation mark stands for itself, every other escape for anything.
_TOKEN = re.compile(
    r"\((?P<look>\?<?[=!])|(?P<open>\((?:\?:|\?P<\w+>|(?!\?)))|(?P<close>\))|(?P<bar>\|)"
    r"|(?P<any>\[\^?\]?(?:\\.|[^\]\\])*\]|[.^$]|\(\?[^)]*\)|\\\w)|\\?(?P<plain>.)",
    re.DOTALL,
)
_REPEAT = re.compile(r"(?:(?P<none>[*?]|\{0?,\d*\}|\{0\})|(?P<some>\+|\{\d+(?:,\d*)?\}))[?+]?")


def may_match(pattern: str, text: str) -> bool:
    """Whether a text holds one of the words that the pattern asks for; True where it asks for none."""
    words = words_of(pattern)
    return not words or any(word in text for word in words)


@functools.lru_cache(maxsize=4096)
def words_of(pattern: str) -> tuple[str, ...]:
    """Words one of which every match of a pattern holds; empty where there are none to rely on."""
    return () if _NOT_FOLLOWED.search(pattern) else _of_group(_steps(pattern))[0] or ()


def _steps(pattern: str) -> Iterator[Step]:
    """What a pattern is made of, in order; a ``close`` at its end."""
    at = 0
    while token := _TOKEN.match(pattern, at):
        kind = token.lastgroup or "plain"
        repeat = None if kind in {"open", "look", "bar"} else _REPEAT.match(pattern, token.end())
        at = (repeat or token).end()
        yield kind, token[kind], "" if repeat is None else str(repeat.lastgroup)
    yield "close", "", ""


def _of_group(steps: Iterator[Step]) -> tuple[Words, str]:
    """The words of a group, up to its end: those of every branch; and how it is repeated."""
    branches: list[Words] = []
    found: list[tuple[str, ...]] = []
    run = ""
    for kind, text, repeat in steps:
        if kind == "plain" and not repeat:
            run += text
            continue
        if len(run) >= _SHORTEST:
            found.append((run,))
        run = ""
        if kind in {"open", "look"}:
            words, again = _of_group(steps)
            found += [words] if words and kind == "open" and again != "none" else []
        elif kind in {"bar", "close"}:
            branches.append(max(found, key=lambda words: (min(map(len, words)), -len(words)), default=None))
            found = []
        if kind == "close":
            return tuple(word for words in branches for word in words or ()) if all(branches) else None, repeat
    return None, ""
