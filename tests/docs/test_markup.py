"""Markdown shows the texts of locksets as they are written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markup import code, prose, section, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with-dashes 1.0", "plain, with-dashes 1.0"),
        ("*", r"\*"),
        ("a|b", r"a\|b"),
        (">=77,<80", r">=77,\<80"),
        ("libtorch_cuda.so", "libtorch_cuda.so"),
        ("_C.abi3.so", r"\_C.abi3.so"),
        ("vllm.__version__ is 'dev'", r"vllm.\_\_version\_\_ is 'dev'"),
        ("as `manage_envs.py sync *` does", "as `manage_envs.py sync *` does"),
        ("one ` alone", r"one \` alone"),
        ("`a|b`", r"\`a\|b\`"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_what_would_be_markup_is_escaped(text, shown):
    assert prose(text) == shown


@given(st.text(alphabet="ab1_*<|\\ "))
def test_no_text_can_end_a_cell_of_a_table_or_start_markup(text):
    bare = re.sub(r"\\.", "", prose(text))
    assert not set("*<|") & set(bare)


@given(st.text(alphabet="ab|`*"))
def test_code_cannot_end_a_cell_of_a_table_either(text):
    assert not re.search(r"(?<!\\)\|", prose(text))


@given(st.text(alphabet="ab1_*<|\\ "))
def test_escaping_loses_nothing(text):
    assert re.sub(r"\\(.)", r"\1", prose(text)) == text


@pytest.mark.parametrize(("text", "shown"), [("a==1", "`a==1`"), ("a | b", r"`a \| b`")])
def test_code_stays_in_its_cell(text, shown):
    assert code(text) == shown


def test_a_table_has_a_line_for_each_row_and_is_nothing_without_rows():
    assert table(("a", "b"), [("1", "2")]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
    assert table(("a", "b"), []) == []


def test_a_section_is_nothing_without_lines_and_ends_with_its_last():
    assert section("Title", iter([])) == []
    assert section("Title", ["", ""]) == []
    assert section("Title", ["one", "", "two", ""]) == ["## Title", "", "one", "", "two"]
