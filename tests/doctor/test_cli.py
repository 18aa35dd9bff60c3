"""The commands: flags, exit codes, and the three ways a diagnosis is shown."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import pytest

from verl_env.cli.diagnose import doctor, fix_doctor, report
from verl_env.cli.render.doctor import markdown, to_json
from verl_env.doctor.errors import CheckUnknownError, NoEnvironmentError
from verl_env.doctor.fix import FixOutcome
from verl_env.doctor.model import Diagnosis, Finding, Fix, Remedy, Skipped
from verl_env.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doctor.conftest import Environment
    from verl_env.doctor.model import Severity

BROKEN = (
    "torch==2.7.0\nvllm==0.8.5\nclick==8.2.1\nAttributeError: '_OpNamespace' '_C' object has no attribute 'rms_norm'\n"
)


def run(command: Any, *argv: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    code: int = command.main(parser.parse_args(list(argv)))
    return code


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERL_ENV_MACHINE", "none")


@pytest.fixture
def broken(tmp_path: Path) -> str:
    (tmp_path / "issue.txt").write_text(BROKEN)
    return str(tmp_path / "issue.txt")


def test_text(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, "--report", broken) == 1
    out = capsys.readouterr().out

    assert "[vllm-abi]" in out
    assert "causes [vllm-op-missing]" in out
    assert "to mend it:" in out
    assert "pip install torch==2.6.0" in out
    assert "1 root cause" in out


def test_json_output(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, "--report", broken, "--json") == 1
    data = json.loads(capsys.readouterr().out)

    assert (data["schema"], data["ok"], data["skipped"]) == (1, False, [])
    assert data["roots"] == ["vllm-abi"]
    first = data["findings"][0]
    assert first["explains"] == ["vllm-op-missing"]
    assert set(first["remedy"]) == {"text", "commands"}
    assert "failures:A6" in first["references"]


def test_markdown_output(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, "--report", broken, "--markdown") == 1
    out = capsys.readouterr().out

    assert "### error:" in out
    assert "```sh" in out


def test_healthy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fine.txt").write_text("torch==2.6.0\nvllm==0.8.5\n")

    assert run(doctor, "--report", str(tmp_path / "fine.txt")) == 0
    assert "healthy" in capsys.readouterr().out


def test_only(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, "--report", broken, "--only", "click-ray") == 0
    assert "1 checks" in capsys.readouterr().out
    with pytest.raises(CheckUnknownError) as caught:
        run(doctor, "--report", broken, "--only", "click-rai")
    assert "click-ray" in str(caught.value.hint)


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, "--list") == 0
    assert "flash-attn-abi" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags",
    [
        ("--report", "x", "--deep"),
        ("--report", "x", "--fix"),
        ("--report", "x", "--into", "y"),
        ("--dry-run",),
        ("--yes",),
        ("--json", "--markdown"),
    ],
)
def test_flags_that_contradict(flags: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        run(doctor, *flags)


def test_no_environment(tmp_path: Path) -> None:
    with pytest.raises(NoEnvironmentError):
        run(doctor, "--into", str(tmp_path / "none"))


def test_an_environment(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    environment.add("ray", "2.47.1")
    environment.add("click", "8.3.0")

    assert run(doctor, "--into", str(environment.prefix)) == 1
    assert "[click-ray]" in capsys.readouterr().out


def test_fixes_are_shown_first(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    environment.add("ray", "2.47.1")
    environment.add("click", "8.3.0")

    assert run(doctor, "--into", str(environment.prefix), "--fix", "--dry-run") == 1
    assert "click==8.2.1" in capsys.readouterr().err
    assert (environment.site / "click-8.3.0.dist-info").is_dir()


def test_nobody_is_asked_without_a_terminal(environment: Environment) -> None:
    environment.add("ray", "2.47.1")
    environment.add("click", "8.3.0")

    assert run(doctor, "--into", str(environment.prefix), "--fix") == 1
    assert (environment.site / "click-8.3.0.dist-info").is_dir()


def test_nothing_to_fix(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, "--into", str(environment.prefix), "--fix") == 0
    assert "nothing here" in capsys.readouterr().err


def test_a_report_is_diagnosed_like_its_environment(
    environment: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.add("ray", "2.47.1")
    environment.add("click", "8.3.0")
    file = str(tmp_path / "report.json")

    assert run(report, "--into", str(environment.prefix), "--redact", "-o", file) == 0
    assert run(doctor, "--report", file, "--json") == 1
    assert "click-ray" in json.loads(capsys.readouterr().out)["roots"]


def test_a_report_that_cannot_be_written(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run(report, "--into", str(environment.prefix), "-o", str(tmp_path / "no" / "file"))


def test_skipped_and_empty() -> None:
    diagnosis = Diagnosis((), (Skipped("x", "took long"),), seconds=0.123456, checked=3)

    data = to_json(diagnosis)
    assert data["skipped"] == [{"id": "x", "reason": "took long"}]
    assert data["seconds"] == 0.123
    assert diagnosis.ok is None
    assert "a check could not be made" in markdown(diagnosis, subject="here")
    assert "healthy" in markdown(Diagnosis((), checked=3), subject="here")


def test_markdown_of_consequences() -> None:
    root = Finding("a", "other", "error", "t", ("e",), "c", Remedy("do"), ("r",), explains=("b",))
    leaf = Finding("b", "other", "error", "consequence", ("e",), "c", Remedy("do"), ())

    text = markdown(Diagnosis((root, leaf)), subject="here")

    assert "- causes `b`: consequence" in text
    assert "### error: consequence" not in text


@pytest.mark.parametrize(
    ("strict", "severity", "code"), [(True, "warning", 1), (False, "warning", 0), (False, "error", 1)]
)
def test_fix_and_strict_agree(
    strict: bool,
    severity: Severity,
    code: int,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is left after the fixes counts as it counts without them."""
    left = Finding("left-over", "other", severity, "t", ("e",), "c", Remedy("x"), ())
    mended = Finding("mended", "other", "error", "t", ("e",), "c", Remedy("x", (), Fix(uninstall=("a",))), ())
    monkeypatch.setattr(doctor, "_diagnose", lambda *_: Diagnosis((mended, left)))
    monkeypatch.setattr(fix_doctor, "_again", lambda *_, **__: Diagnosis((left,)))
    monkeypatch.setattr("verl_env.doctor.fix.apply", lambda step, *_: FixOutcome(step.finding.id, "mended"))
    flags = ["--strict"] if strict else []

    assert run(doctor, "--into", str(environment.prefix), "--fix", "--yes", *flags) == code
    assert ("left-over" in capsys.readouterr().err) is (code == 1)
