from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env import shapes
from verl_env.shapes import FieldError


@dataclass
class Inner:
    number: int
    word: str | None


@dataclass
class Outer:
    name: str
    inner: Inner
    items: tuple[Inner, ...]


INNER = shapes.shape(Inner, {"number": shapes.count}, {"word": (shapes.text, None)})
OUTER = shapes.shape(Outer, {"name": shapes.text, "inner": INNER}, {"items": (shapes.many(INNER), ())})

GOOD = [
    (shapes.text, "a", "a"),
    (shapes.flag, False, False),
    (shapes.count, 0, 0),
    (shapes.number, "550.54.15", "550.54.15"),
    (shapes.number, "2", "2"),
    (shapes.timestamp, "2025-07-18T09:23:19Z", "2025-07-18T09:23:19Z"),
    (shapes.moment, "2025-07-18T09:23:19Z", "2025-07-18T09:23:19Z"),
    (shapes.moment, "2025-07-18", "2025-07-18"),
    (shapes.sha256, "0" * 64, "0" * 64),
    (shapes.one_of("a", "b"), "b", "b"),
    (shapes.texts, ["a", "b"], ("a", "b")),
    (shapes.texts, [], ()),
    (shapes.mapping, {"A": "", "B": "x"}, {"A": "", "B": "x"}),
]
BAD: list[tuple[Any, Any, str]] = [
    (shapes.text, "", "non-empty string"),
    (shapes.text, 1, "non-empty string"),
    (shapes.flag, 1, "true or false"),
    (shapes.count, -1, "whole number"),
    (shapes.count, True, "whole number"),
    (shapes.count, 1.0, "whole number"),
    (shapes.number, "abc", "numbers with dots"),
    (shapes.number, "550.", "numbers with dots"),
    (shapes.number, 550, "numbers with dots"),
    (shapes.number, "\u0665", "numbers with dots"),
    (shapes.timestamp, "2025-07-18", "full UTC timestamp"),
    (shapes.timestamp, "2025-07-18T09:23:19+02:00", "full UTC timestamp"),
    (shapes.moment, "July", "full UTC timestamp"),
    (shapes.sha256, "A" * 64, "64 hexadecimal"),
    (shapes.sha256, "0" * 63, "64 hexadecimal"),
    (shapes.one_of("a", "b"), "c", "one of a, b"),
    (shapes.texts, "ab", "must be a list"),
    (shapes.mapping, ["a"], "must be a table"),
]


@pytest.mark.parametrize(("decoder", "value", "decoded"), GOOD)
def test_decoders_take_what_they_are_for(decoder, value, decoded):
    assert decoder(value) == decoded


@pytest.mark.parametrize(("decoder", "value", "reason"), BAD)
def test_decoders_say_what_is_wrong(decoder, value, reason):
    with pytest.raises(FieldError) as caught:
        decoder(value)
    assert reason in caught.value.reason
    assert caught.value.key == ""


def test_a_table_becomes_an_object_with_its_defaults():
    assert OUTER({"name": "n", "inner": {"number": 1}}) == Outer("n", Inner(1, None), ())


@pytest.mark.parametrize(
    ("table", "key", "reason"),
    [
        ({"inner": {"number": 1}}, "name", "is missing"),
        ({"name": "n", "inner": {}}, "inner.number", "is missing"),
        ({"name": "n", "inner": {"number": 1, "wrod": "x"}}, "inner.wrod", "not a key"),
        ({"name": "n", "inner": 3}, "inner", "must be a table"),
        ({"name": "n", "inner": {"number": 1}, "items": [{"number": 1}, {"number": "x"}]}, "items[1].number", "whole"),
        ({"name": "n", "inner": {"number": 1}, "items": [{"number": 1}, {}]}, "items[1].number", "missing"),
        ({"name": "n", "inner": {"number": 1}, "items": [7]}, "items[0]", "must be a table"),
        ([], "", "must be a table"),
    ],
)
def test_errors_name_the_whole_path_of_the_key(table, key, reason):
    with pytest.raises(FieldError) as caught:
        OUTER(table)
    assert caught.value.key == key
    assert reason in caught.value.reason


def test_a_list_of_tables_of_strings_names_the_key_of_the_wrong_value():
    with pytest.raises(FieldError) as caught:
        shapes.mapping({"A": "1", "B": 2})
    assert caught.value.key == "B"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=JSON.filter(lambda value: not (isinstance(value, dict) and {"name", "inner"} <= value.keys())))
def test_no_value_gets_past_a_decoder(value):
    with pytest.raises(FieldError):
        OUTER(value)


def test_like_tables_become_one_object_and_unlike_ones_do_not() -> None:
    decode = shapes.shared(INNER)
    assert decode({"number": 1}) is decode({"number": 1})
    assert decode({"number": 1}) is not decode({"number": 2})
    with pytest.raises(FieldError, match="whole number"):
        decode({"number": True})


def test_a_key_that_is_wrong_is_told_before_a_value_that_is() -> None:
    with pytest.raises(FieldError, match="is missing"):
        INNER({"word": 1})
    with pytest.raises(FieldError, match="may stand here"):
        INNER({"number": "x", "other": 1})
