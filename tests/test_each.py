"""One test for many values: all are tried, and each that fails is named."""

import pytest

from tests.each import each


@pytest.mark.parametrize(("values", "failed"), [((1, 2, 3), []), ((1, -2, 3, -4), ["-2", "-4"])])
def test_every_value_is_tried_and_named(values, failed):
    tried = []

    @each("value", values)
    def check(value):
        tried.append(value)
        assert value > 0

    said = []
    try:
        check()
    except AssertionError as error:
        said = [line.partition(":")[0] for line in str(error).splitlines() if ": AssertionError:" in line]
    assert (tuple(tried), said) == (values, failed)


@each(("left", "right"), [(1, 2), (2, 3)], lambda row: f"{row[0]} and {row[1]}")
def test_fixtures_are_given_to_each(left, right, tmp_path):
    assert left + 1 == right
    assert tmp_path.is_dir()


def test_nothing_to_check_is_a_fault():
    with pytest.raises(AssertionError, match="nothing to check"):
        each("value", [])
