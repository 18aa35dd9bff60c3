import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.environment import journal


def test_it_says_who_is_doing_what(tmp_path):
    path = tmp_path / "journal.json"
    begun = journal.begin(path, "0003")
    assert journal.read(path) == begun
    assert (begun.pid, begun.phase, begun.generation) == (os.getpid(), "prepare", "0003")
    assert begun.holder.startswith(f"process {os.getpid()} on ")


def test_it_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "journal.json"
    journal.begin(path, "0003")
    later = journal.Journal(1, "node", "2025-01-01T00:00:00+00:00", "switch", "0004")
    journal.write(path, later)
    assert journal.read(path) == later
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}', "null"])
def test_what_is_no_journal_reads_as_none(tmp_path, text):
    (tmp_path / "journal.json").write_text(text)
    assert journal.read(tmp_path / "journal.json") is None


@given(st.binary(max_size=60))
def test_any_bytes_can_be_read(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "journal.json"
    path.write_bytes(content)
    assert journal.read(path) is None
