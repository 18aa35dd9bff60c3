"""Figures against bounds."""

from hypothesis import given
from hypothesis import strategies as st

from verl_env.verify.judge import complaints

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS, NUMBERS)
def test_a_bound_holds_or_is_complained_of(value, bound):
    assert bool(complaints({"a": value}, {"a": bound}, {})) == (value > bound)
    assert bool(complaints({"a": value}, {}, {"a": bound})) == (value < bound)


@given(NUMBERS)
def test_nan_is_out_of_every_bound(bound):
    assert complaints({"a": float("nan")}, {"a": bound}, {"a": bound}) != []


def test_what_was_not_measured_is_said():
    assert complaints({}, {"a": 1}, {"b": 1}) == ["a was not measured", "b was not measured"]


def test_a_complaint_has_both_values():
    assert complaints({"error": 0.5}, {"error": 0.01}, {}) == ["error is 0.5, at most 0.01 was expected"]
