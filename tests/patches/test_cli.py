"""The command: what it prints, and its exit codes."""

from __future__ import annotations

import argparse
import json

import pytest

from verl_env.cli.diagnose import patches as command
from verl_env.errors import EXIT_NO, EXIT_OK
from verl_env.patches import ask, change
from verl_env.patches.model import PatchState, Report


def run(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.main(parser.parse_args(words))


def report(*states, **more):
    patches = tuple(
        PatchState(f"patch-{n}", state, "because", more.get("process"), True) for n, state in enumerate(states)
    )
    return Report("0.8.2", patches, **more)


@pytest.fixture
def says(monkeypatch):
    """Lets the interpreter say what a test wants."""

    def say(found):
        monkeypatch.setattr(ask, "read_states", lambda _path: found)
        monkeypatch.setattr(ask, "verify", lambda _path, _process: found)
        monkeypatch.setattr(change, "apply", lambda _path, _carrier, **_: None)
        monkeypatch.setattr(change, "remove", lambda _path, **_: None)

    return say


CASES = [
    ("list", report("applied", "not-needed"), EXIT_OK),
    ("list", report("declined"), EXIT_NO),
    ("list", report("applied", installed=False), EXIT_NO),
    ("list", Report(None, (), installed=False), EXIT_OK),
    ("remove", report("applied", installed=False), EXIT_OK),
    ("apply", report("applied"), EXIT_OK),
    ("apply", report("failed"), EXIT_NO),
    ("verify", report("applied", process="main", hook=True), EXIT_OK),
    ("verify", report("applied", process="main", hook=False), EXIT_NO),
    ("verify", Report(None, (), process="ray", skipped="Ray is not installed"), EXIT_OK),
]


@pytest.mark.parametrize(("action", "found", "code"), CASES)
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_exit_codes_and_that_json_is_all_there_is(says, capsys, action, found, code, flags):
    says(found)
    assert run(action, *flags) == code
    out = capsys.readouterr().out
    if flags:
        assert json.loads(out)["schema"] == 1
    else:
        assert all(patch.id in out for patch in found.patches)


def test_json_of_verify_names_each_process(says, capsys):
    says(report("applied", process="spawn", hook=True))
    run("verify", "--json")
    document = json.loads(capsys.readouterr().out)
    assert [entry["process"] for entry in document["patches"]] == ["spawn"] * 3
    assert document["patches"][0]["probed"] is True
    assert document["ok"] is True


def test_a_hidden_plugin_is_said(says, capsys):
    says(report("applied", hidden="other"))
    run("list")
    assert "VLLM_PLUGINS=other" in capsys.readouterr().out


def test_faults_are_said(says, capsys):
    says(report("applied", faults=("arm: KeyError: x",)))
    assert run("list") == EXIT_NO
    assert "arm: KeyError: x" in capsys.readouterr().out


def test_the_real_thing(prefix, capsys):
    assert run("list", "--into", str(prefix)) == EXIT_NO
    assert run("apply", "--into", str(prefix)) == EXIT_OK
    assert "applied-unverified" in capsys.readouterr().out
