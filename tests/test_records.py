"""A record is a frozen slotted dataclass in everything that can be seen."""

import copy
import pickle
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.records import FrozenRecordError, is_record, record, replace, values


@record
class Point:
    """A place."""

    x: int
    y: int = 0
    name: str = "here"

    @property
    def sum(self) -> int:
        return self.x + self.y


@dataclass(frozen=True, slots=True)
class Twin:
    x: int
    y: int = 0
    name: str = "here"


anything = st.one_of(st.none(), st.integers(), st.text(), st.tuples(st.integers()))


@given(anything, anything, anything)
def test_it_behaves_as_a_dataclass_does(x, y, name):
    mine, twin = Point(x, y, name=name), Twin(x, y, name=name)
    assert repr(mine) == repr(twin).replace("Twin", "Point")
    assert hash(mine) == hash(twin)
    assert mine == Point(x, y, name)
    assert (mine == Point(x, y, "elsewhere")) == (twin == Twin(x, y, "elsewhere"))


def test_defaults_properties_and_names():
    point = Point(3)
    assert (point.x, point.y, point.name, point.sum) == (3, 0, "here", 3)
    assert Point.__doc__ == "A place."
    assert Point.__slots__ == Point.__match_args__ == ("x", "y", "name")
    assert not hasattr(point, "__dict__")
    assert values(point) == {"x": 3, "y": 0, "name": "here"}


def test_records_and_dataclasses_of_equal_values_differ():
    assert Point(1) != Twin(1)
    assert Point(1) != (1, 0, "here")


def test_nothing_can_be_changed():
    point = Point(1)
    with pytest.raises(FrozenRecordError):
        point.x = 2
    with pytest.raises(FrozenRecordError):
        del point.x
    with pytest.raises(AttributeError):
        point.other = 2
    assert point.x == 1


@pytest.mark.parametrize(
    ("positional", "named", "reason"),
    [
        ((), {}, "lacks: x"),
        ((1, 2, "a", 4), {}, "takes 3 values, not 4"),
        ((1,), {"x": 2}, "is given twice: x"),
        ((1,), {"z": 2}, "does not have: z"),
        ((), {"y": 1, "name": "a"}, "lacks: x"),
        ((), {"y": 1, "z": 1}, "does not have: z"),
    ],
)
def test_wrong_values_are_refused_as_a_dataclass_refuses_them(positional, named, reason):
    with pytest.raises(TypeError):
        Twin(*positional, **named)
    with pytest.raises(TypeError, match=reason):
        Point(*positional, **named)


def test_replace():
    assert replace(Point(1, 2), y=5) == Point(1, 5)
    with pytest.raises(TypeError, match="does not have: z"):
        replace(Point(1), z=5)


def test_copies_and_pickles_are_equal():
    point = Point(1, 2, "there")
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point


def test_patterns_match_by_position():
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("no match")


def test_which_values_are_records():
    assert is_record(Point(1))
    assert not is_record(Twin(1))
    assert not is_record(1)


def test_a_mapping_makes_a_record_unhashable_as_in_a_dataclass():
    with pytest.raises(TypeError):
        hash(Point({}))
