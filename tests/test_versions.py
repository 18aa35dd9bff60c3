"""Dotted numbers compare as numbers, and nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.versions import at_least, dotted, is_dotted

numbers = st.lists(st.integers(0, 9999), min_size=1, max_size=4)


def text(parts):
    return ".".join(map(str, parts))


@pytest.mark.parametrize(
    ("have", "need", "reaches"),
    [
        ("550.54.15", "550.54.15", True),
        ("550.54.14", "550.54.15", False),
        ("550.163.01", "550.54.15", True),
        ("535.288.01", "525.60.13", True),
        ("580", "580.65.06", False),
        ("580.0", "580", True),
        ("2.9", "2.17", False),
    ],
)
def test_at_least(have, need, reaches):
    assert at_least(have, need) is reaches


@pytest.mark.parametrize("nonsense", ["", "abc", "550.", ".5", "1..2", "550.54.15-open", "5\u00b2", " 1", "-1", "1e3"])
def test_what_is_no_dotted_number(nonsense):
    assert not is_dotted(nonsense)
    with pytest.raises(ValueError):
        dotted(nonsense)


@given(numbers)
def test_reading_keeps_the_numbers(parts):
    assert dotted(text(parts)) == tuple(parts)


@given(numbers, numbers)
def test_two_numbers_are_always_ordered(left, right):
    assert at_least(text(left), text(right)) or at_least(text(right), text(left))


@given(numbers)
def test_zeros_at_the_end_change_nothing(parts):
    assert at_least(text(parts), text([*parts, 0]))
    assert at_least(text([*parts, 0]), text(parts))


@given(st.text())
def test_any_text_is_read_or_refused(anything):
    if is_dotted(anything):
        assert dotted(anything)
    else:
        with pytest.raises(ValueError):
            dotted(anything)
