import json

import pytest

from tests.install.environments import Environment
from tests.install.plans import PYTHON
from tests.locksets import samples
from verl_env.cli.main import main

ONE = "verl9.9-cu999/app.engine"
TWO = "verl9.9-cu999/app.other"


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """Two locksets with one lock, the second without native components."""
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(tmp_path / "constraints"))
    monkeypatch.chdir(tmp_path)
    pythons = [{**samples.LOCKSET["pythons"][0], "python": version} for version in dict.fromkeys(["3.10", PYTHON])]
    samples.write_lockset(tmp_path / "constraints", pythons=pythons)
    samples.write_lockset(tmp_path / "constraints", id=TWO, natives=None, pythons=pythons)
    return tmp_path


def test_equal_is_exit_code_0(capsys):
    assert main(["diff", "app.engine", ONE]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"--- {ONE} (Python 3.10, 5 packages)",
        f"+++ {ONE} (Python 3.10, 5 packages)",
        "5 identical, 0 changed, 0 only in B, 0 only in A",
    ]
    assert captured.err == ""


def test_different_is_exit_code_1(capsys):
    assert main(["diff", "app.engine", "app.other"]) == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "engines and their kernels",
        "  - attention 2.0 (native)",
        "4 identical, 0 changed, 0 only in B, 1 only in A",
    ]


def test_a_lockset_and_an_environment(root, capsys):
    environment = Environment(root / ".venv")
    environment.add("accelerate", "1.8.0")
    environment.add("plain", "1.0")
    environment.add("torch", "2.6.0")
    assert main(["diff", "app.other", ".venv", "--python", PYTHON]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"--- {TWO} (Python {PYTHON}, 4 packages)",
        f"+++ .venv (Python {PYTHON}, 3 packages)",
        "torch",
        "  + torch 2.6.0",
        "others",
        "  ~ accelerate 1.9.0 -> 1.8.0",
        "  - antlr4-python3-runtime 4.9.3",
        "  - engine 1.0+cu9 (from https://example.invalid/engine-1.0+cu9-py3-none-any.whl)",
        "1 identical, 1 changed, 1 only in B, 2 only in A",
    ]


def test_json_and_nothing_else(capsys):
    assert main(["diff", "app.engine", "app.other", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "schema": 1,
        "equal": False,
        "a": {"kind": "lockset", "name": ONE, "python": "3.10", "packages": 5},
        "b": {"kind": "lockset", "name": TWO, "python": "3.10", "packages": 4},
        "identical": 4,
        "differences": [{"kind": "-", "group": "engines", "name": "attention", "old": "2.0 (native)", "new": None}],
    }
    assert captured.err == ""


def test_json_of_what_is_equal(capsys):
    assert main(["diff", "app.other", "app.other", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["equal"], document["differences"]) == (True, [])


@pytest.mark.parametrize(
    ("argv", "error_id"),
    [
        ([], "usage"),
        (["app.engine"], "usage"),
        (["app.engine", "nothing-like-it"], "lockset-not-found"),
        (["app.engine", "app.other", "--python", "newest"], "usage"),
        (["app.engine", "app.other", "--python", "3.2"], "python-not-locked"),
        (["app.engine", "constraints"], "environment-empty"),
    ],
)
def test_wrong_use_is_exit_code_2(argv, error_id, capsys):
    assert main(["diff", *argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"error[{error_id}]" in captured.err
    if error_id == "usage":
        assert "verl-env diff --help" in captured.err


def test_the_help_states_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["diff", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "0 where they are equal, 1 where they differ, 2 for wrong use" in shown
