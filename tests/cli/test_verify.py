"""``verl-env verify``."""

import json
import venv

import pytest

from verl_env.cli.main import main


def test_the_parts_are_listed(capsys):
    assert main(["verify", "--list", "--only", "generate"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["generate-vllm", "generate-sglang"]


def test_a_part_that_is_not_there_is_wrong_use(capsys):
    assert main(["verify", "--only", "atention"]) == 2
    assert "verify-part-unknown" in capsys.readouterr().err


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An environment without packages, on a host without GPUs."""
    monkeypatch.setenv("VERL_ENV_MACHINE", "none")
    venv.create(tmp_path / "env", symlinks=True)
    return tmp_path / "env"


def test_without_a_gpu_the_answer_is_honest(empty, tmp_path, capsys):
    out = tmp_path / "proof.json"
    assert main(["verify", "--into", str(empty), "--json", "-o", str(out)]) == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document == json.loads(out.read_text())
    assert document["ok"] is False
    assert {part["state"] for part in document["parts"]} == {"impossible"}
    assert "attention: impossible" in said.err


def test_no_environment_is_an_error_and_no_traceback(tmp_path, capsys):
    assert main(["verify", "--into", str(tmp_path / "none")]) == 2
    assert "error[" in capsys.readouterr().err


def test_a_kept_proof_is_shown_by_doctor_and_report(empty, tmp_path, capsys):
    assert main(["verify", "--into", str(empty), "--keep"]) == 1
    capsys.readouterr()
    main(["doctor", "--into", str(empty)])
    assert "on no GPU; nothing could be tried" in capsys.readouterr().out
    main(["doctor", "--into", str(empty), "--json"])
    [proof] = json.loads(capsys.readouterr().out)["proofs"]
    assert proof["current"] is True
    assert proof["parts"]["attention"] == "impossible"
    main(["report", "--into", str(empty), "-o", str(tmp_path / "report.json")])
    assert json.loads((tmp_path / "report.json").read_text())["proofs"] == [proof]
    assert main(["doctor", "--report", str(tmp_path / "report.json")]) in {0, 1}


def test_a_proof_that_cannot_be_kept_is_shown_and_said(empty, capsys, monkeypatch):
    monkeypatch.setattr("verl_env.environment.proofs.replace_bytes", _refused)
    assert main(["verify", "--into", str(empty), "--keep", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["ok"] is False
    assert "error[verify-not-kept]" in said.err
    assert "verify --into" in said.err


def _refused(*_):
    raise PermissionError(13, "Permission denied")
