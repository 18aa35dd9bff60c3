"""Words of patterns: nothing that a pattern matches may be passed over for want of them."""

from __future__ import annotations

import re
import time

import pytest

from tests.each import each
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.compile_checks import tables
from verl_env.doctor.literals import may_match, words_of

PATTERNS = sorted({pattern for check in CHECKS for pattern in check.log})
COMPILED = [re.compile(pattern, re.MULTILINE) for pattern in PATTERNS]
LINES = [line for row in tables().values() for line in row.get("says", ())]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"abcd\w+xyz", ("abcd",)),
        (r"\w+ (?:lost it|found it all) here", ("found it all", "lost it")),
        (r"(?:optional words)?end of it", ("end of it",)),
        (r"(?i)any case at all", ()),
        (r"(?:two words|\d+)", ()),
        (r"(?P<said>(?:one of them)+)x", ("one of them",)),
        (r"(?s)a\.b\[c\].{0,9}(?!not this)[^]x(]y{2,3}(?:z{0,3}|never)?", ("a.b[c]",)),
        (r"(?:first|second) of (?P<x>\w+)(?P=x)|th[ie]rd (?<!no)one\b", ("first", "rd ", "second")),
        (r"abcd?|abcde{,2}", ("abc", "abcd")),
        (r"(?(1)abc|def)(?>ghi)", ()),
    ],
)
def test_words_that_every_match_holds(pattern: str, words: tuple[str, ...]) -> None:
    assert sorted(words_of(pattern)) == sorted(words)


@each("line", LINES)
def test_no_match_is_passed_over(line: str) -> None:
    matching = [pattern.pattern for pattern in COMPILED if pattern.search(line)]

    assert matching
    assert all(may_match(pattern, line) for pattern in matching)


def test_a_text_without_the_words_costs_little() -> None:
    text = ("0123456789abcdef" * 20 + "\n") * 5000

    started = time.process_time()
    left = [pattern for pattern in PATTERNS if may_match(pattern, text)]

    assert len(left) < len(PATTERNS) / 20
    assert time.process_time() - started < 5
