"""Plain texts and JSON are read as ``re`` and ``json`` would read them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine import plain
from verl_env.machine.plain import cpython, digits, dumps, hexadecimal, leading, loads, release

near_numbers = st.text(st.sampled_from("0123456789.abcfg-+ \n٣"), max_size=14)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(near_numbers)
def test_digits_are_ascii_digits_alone(text: str) -> None:
    assert digits(text, 3) == bool(re.fullmatch(r"[0-9]{1,3}", text))


@given(near_numbers)
def test_hexadecimal_digits_of_a_width(text: str) -> None:
    assert hexadecimal(text, 4) == bool(re.fullmatch(r"[0-9a-f]{4}", text))


@given(near_numbers)
def test_releases_are_dotted_numbers_of_so_many_parts(text: str) -> None:
    assert release(text, 2, 3, 2) == bool(re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,2}){1,2}", text))


@given(st.from_regex(r"3\.[0-9]{0,3}\.?[0-9]{0,4}\n?") | near_numbers)
def test_releases_of_cpython(text: str) -> None:
    assert cpython(text) == bool(re.fullmatch(r"3\.[0-9]{1,2}\.[0-9]{1,3}", text))


@given(near_numbers)
def test_what_a_text_begins_with(text: str) -> None:
    assert leading(text) == re.match(r"[0-9]*", text)[0]  # type: ignore[index]
    assert leading(text, "ab") == re.match(r"[ab]*", text)[0]  # type: ignore[index]


@given(values)
def test_json_is_written_as_json_writes_it(value: Any) -> None:
    assert dumps(value) == json.dumps(value)


@given(values | st.floats(allow_nan=False))
def test_json_comes_back(value: Any) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(f" \n{json.dumps(value, indent=1)}\t") == value


@given(st.text(st.sampled_from('[]{}",:0123456789-.eEtrufalsn\\ \n')) | st.text())
def test_json_is_read_as_json_reads_it(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            loads(text)
    else:
        assert repr(loads(text)) == repr(expected)


@pytest.mark.parametrize("text", ["", " ", "[", "[1] 2", "{1: 2}", "nul", '"a', "\ufeff[]"])
def test_what_is_no_json_is_told(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_json_without_the_scanner_of_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_scan", None)
    assert loads('{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize("value", [{1, 2}, b"", object(), [1.5]])
def test_values_that_are_not_plain_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        dumps(value)
