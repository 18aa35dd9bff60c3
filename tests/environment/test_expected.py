"""What was read of the RECORDs of an environment, kept in it: used where they are the same, and never believed else."""

import json
import os

import pytest

from tests.install.environments import Environment
from verl_env.environment import expected as module
from verl_env.environment.damage import spoiled
from verl_env.environment.expected import FILE, expected_files, keep_files, kept_files
from verl_env.environment.installed import installed


@pytest.fixture
def made(tmp_path):
    made = Environment(tmp_path / "env")
    made.add("a", files={"a/__init__.py": "x\n", "a/b/deep.py": "y\n"}, scripts={"tool": "#!python\n"})
    made.add("b", files={"top.py": "z\n"})
    return made


def keep(made):
    keep_files(made.path, expected_files(installed(made.site), {}))


def look(made):
    found = spoiled(made.site, installed(made.site), {}, kept_files(made.path))
    return {name: dict(each.files) for name, each in found.items()}


def test_what_is_kept_is_what_was_read(made):
    have = installed(made.site)
    keep(made)
    assert kept_files(made.path) == expected_files(have, {})
    folders = kept_files(made.path)["a"].folders
    assert {folder: dict(files) for folder, files in folders.items() if ".dist-info" not in folder} == {
        "a": {"__init__.py": 2},
        "a/b": {"deep.py": 2},
        "../../../bin": {"tool": -1},
    }


def test_a_record_that_is_the_same_is_not_taken_apart_again(made, monkeypatch):
    keep(made)
    monkeypatch.setattr(module, "entries_of", lambda _: pytest.fail("it was"))
    assert look(made) == {}
    (made.site / "top.py").write_text("")
    (made.site / "a" / "b" / "deep.py").unlink()
    assert look(made) == {"a": {"a/b/deep.py": None}, "b": {"top.py": 0}}


def test_a_record_that_nobody_touched_is_not_read_again(made, monkeypatch):
    keep(made)
    monkeypatch.setattr(module, "sha256", lambda _: pytest.fail("it was"))
    assert look(made) == {}


def test_a_record_of_another_time_is_compared_by_its_digest(made):
    keep(made)
    record = made.site / "b-1.0.dist-info" / "RECORD"
    os.utime(record, (1, 1))
    assert look(made) == {}
    record.write_text(record.read_text().replace("top.py", "tap.py"))
    assert look(made) == {"b": {"tap.py": None}}


def test_another_record_is_read_whatever_is_kept(made):
    keep(made)
    record = made.site / "b-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text().replace("top.py", "other.py"))
    assert look(made) == {"b": {"other.py": None}}
    record.unlink()
    assert look(made) == {"b": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 90_000,
        '{"schema": 2, "files": {}}',
        '{"schema": 1, "files": []}',
        '{"schema": 1, "files": {"b": {"record": "x", "folders": {"": {"top.py": "2"}}}}}',
        '{"schema": 1, "files": {"b": {"record": "x", "folders": [1]}}}',
    ],
)
def test_what_cannot_be_read_is_as_if_it_were_not_there(made, text):
    (made.path / FILE).write_text(text)
    (made.site / "top.py").write_text("")
    assert kept_files(made.path) == {}
    assert look(made) == {"b": {"top.py": 0}}


def test_kept_files_of_another_environment_say_nothing(made):
    keep(made)
    data = json.loads((made.path / FILE).read_text())
    data["files"]["b"] = {"record": "0" * 64, "folders": {}}
    (made.path / FILE).write_text(json.dumps(data))
    (made.site / "top.py").unlink()
    assert look(made) == {"b": {"top.py": None}}


def test_what_is_no_file_is_missing(made):
    (made.site / "top.py").unlink()
    os.mkfifo(made.site / "top.py")
    assert look(made) == {"b": {"top.py": None}}
