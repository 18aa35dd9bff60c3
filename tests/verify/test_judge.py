"""Figures against bounds."""

from hypothesis import given
from hypothesis import strategies as st

from verl_env.verify.judge import complaints

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS, NUMBERS)
def test_a_bound_holds_or_is_complained_of(value, bound):
    assert bool(complaints({"a": value}, {"a": bound}, {}, all_of=True)) == (value > bound)
    assert bool(complaints({"a": value}, {}, {"a": bound}, all_of=True)) == (value < bound)


@given(NUMBERS)
def test_nan_is_out_of_every_bound(bound):
    assert complaints({"a": float("nan")}, {"a": bound}, {"a": bound}, all_of=True) != []


def test_what_was_not_measured_is_said_where_all_is_asked_for():
    assert complaints({}, {"a": 1}, {"b": 1}, all_of=True) == ["a was not measured", "b was not measured"]
    assert complaints({}, {"a": 1}, {"b": 1}, all_of=False) == []


def test_a_complaint_has_both_values():
    assert complaints({"error": 0.5}, {"error": 0.01}, {}, all_of=True) == ["error is 0.5, at most 0.01 was expected"]
