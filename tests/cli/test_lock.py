from __future__ import annotations

import json
import re

import pytest

from tests.components import samples as components
from tests.locksets import samples
from tests.locksets.index.test_measure import elf
from tests.locksets.indexes import Folder
from tests.locksets.test_evidence import PROOF
from tests.locksets.test_make import UNMET
from verl_env.cli.main import main
from verl_env.environment.state import State, write_state
from verl_env.errors import EXIT_MISUSE, EXIT_NO, EXIT_OK
from verl_env.locksets.load import load_lockset


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder with one recipe, and an index that has what it needs."""
    folder = Folder(tmp_path / "index")
    samples.fill(folder)
    monkeypatch.setenv("UV_DEFAULT_INDEX", folder.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(tmp_path / "constraints"))
    samples.write_recipe(tmp_path / "constraints", unmet=UNMET)
    return tmp_path / "constraints"


def test_lock_writes_and_says_so(root, capsys):
    assert main(["lock"]) == EXIT_OK
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{samples.ID}: written", "  lockset.toml is missing", "  py3.10.txt is missing",
    ]  # fmt: skip
    assert "2/3 2: engine" in err
    assert main(["lock", "app.engine"]) == EXIT_OK
    assert capsys.readouterr().out == f"{samples.ID}: unchanged\n"


def test_check_exits_with_the_answer(root, capsys):
    assert main(["lock", "--check"]) == EXIT_NO
    assert "differs from its recipe" in capsys.readouterr().out
    assert main(["lock"]) == EXIT_OK
    assert main(["lock", "--check"]) == EXIT_OK
    assert main(["lock", "--check", "--offline"]) == EXIT_OK
    (root / samples.ID / "py3.10.txt").write_text("")
    assert main(["lock", "--check", "--offline"]) == EXIT_NO


def test_the_compiled_components_are_checked_and_written(root, capsys):
    components.write(root)
    assert main(["lock", "--check", "--offline"]) == EXIT_NO
    assert "components.json: differs from its recipe" in capsys.readouterr().out
    assert main(["lock"]) == EXIT_OK
    assert "components.json: written" in capsys.readouterr().out
    assert main(["lock", "--check", "--offline"]) == EXIT_OK
    assert main(["lock"]) == EXIT_OK
    assert "components.json" not in capsys.readouterr().out


def test_the_compiled_tables_are_checked_and_written(root, capsys, monkeypatch):
    told = []
    monkeypatch.setattr("verl_env.machine.compile_tables.stale", lambda: ("gpus.json",))
    monkeypatch.setattr("verl_env.machine.compile_tables.write_compiled", lambda: told.append("written"))
    assert main(["lock", "--check", "--offline"]) == EXIT_NO
    assert "gpus.json: differs from its recipe" in capsys.readouterr().out
    assert told == []
    assert main(["lock"]) == EXIT_OK
    assert "gpus.json: written" in capsys.readouterr().out
    assert told == ["written"]


def test_json_holds_nothing_but_the_outcome(root, capsys):
    assert main(["lock", "--json"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "locksets": [
            {
                "id": samples.ID,
                "changed": True,
                "files": ["lockset.toml", "py3.10.txt"],
                "differences": ["lockset.toml is missing", "py3.10.txt is missing"],
            }
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        (["nothing"], "lockset-unknown", EXIT_MISUSE),
        (["--check", "--offline", "app.engine"], "usage", EXIT_MISUSE),
    ],
)
def test_wrong_use_is_one_clear_error(root, capsys, arguments, error, code):
    assert main(["lock", "--json", *arguments]) == code
    assert json.loads(capsys.readouterr().out)["error"]["id"] == error


def test_a_recipe_that_the_replay_proves_wrong(root, capsys):
    samples.write_recipe(root, torch="0.1")
    assert main(["lock"]) == EXIT_NO
    assert "torch is stated as 0.1" in capsys.readouterr().err
    assert not (root / samples.ID / "lockset.toml").exists()


def test_uv_is_needed(root, capsys, monkeypatch):
    monkeypatch.setattr("verl_env.installers.step_resolver.uv_program", lambda: None)
    assert main(["lock"]) == EXIT_NO
    err = capsys.readouterr().err
    assert "uv-missing" in err
    assert "pip install 'verl-env[uv]'" in err


def test_measure_prints_what_an_environment_needs(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (tmp_path / "x.so").write_bytes(elf(["GLIBC_2.30"]))
    assert main(["lock", "--measure", str(tmp_path)]) == EXIT_OK
    measured = json.loads(capsys.readouterr().out)
    assert measured["symbols"] == {"GLIBC": {"version": "2.30", "file": "x.so"}}
    assert (measured["schema"], measured["files"]) == (1, 1)


def test_an_environment_and_a_proof_are_recorded_beside_their_lockset(root, tmp_path, capsys):
    assert main(["lock"]) == EXIT_OK
    site = tmp_path / "env" / "lib" / "python3.10" / "site-packages" / "attention-2.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Name: attention\nVersion: 2.0\n")
    state = State(
        "/e", samples.ID, "engine", "3.10", "d", None, {"other": "why"}, ("torch",), made="2026-11-28T01:02:03Z"
    )
    write_state(tmp_path / "env", state)
    assert main(["lock", "--record", str(tmp_path / "env")]) == EXIT_MISUSE
    assert main(["lock", "--record", str(tmp_path / "env"), "--seen", "docs/evidence.md#x"]) == EXIT_OK
    lockset = load_lockset(root / samples.ID / "lockset.toml")
    assert (lockset.tier, lockset.tried_with()) == ("installed", {"other": None, "attention": "2.0"})
    (tmp_path / "proof.json").write_text(json.dumps(PROOF))
    assert main(["lock", "--record", str(tmp_path / "proof.json")]) == EXIT_OK
    assert load_lockset(root / samples.ID / "lockset.toml").tier == "proven"
    [proof] = (root / samples.ID / "proofs").iterdir()
    assert re.fullmatch(r"2026-11-28-nvidia-h200-py3\.10\.14-[0-9a-f]{8}\.json", proof.name)
    assert json.loads(proof.read_text()) == PROOF
    assert main(["lock", "--check", "--offline"]) == EXIT_OK


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_what_is_no_record_is_refused(root, tmp_path, capsys, text):
    (tmp_path / "x.json").write_text(text)
    assert main(["lock", "--record", str(tmp_path / "x.json")]) == EXIT_MISUSE
    assert main(["lock", "--record", str(tmp_path)]) == EXIT_MISUSE
    assert "Traceback" not in capsys.readouterr().err
