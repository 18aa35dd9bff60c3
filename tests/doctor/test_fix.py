"""Fixes run, are kept where they mend, and are taken back where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from verl_env.doctor import fix as fixing
from verl_env.doctor.commands import Shell, remedy
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.facts import Facts
from verl_env.doctor.gather import gather
from verl_env.doctor.model import Diagnosis, Finding, Fix, Remedy, Severity
from verl_env.machine.model import Machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doctor.conftest import Environment

FIX = Fix(uninstall=("a",), install=("b==1",), reinstall=True)


def finding(name: str, how: Remedy | None = None, severity: Severity = "error") -> Finding:
    return Finding(name, "other", severity, "t", ("e",), "c", how or remedy(Shell(), "x", FIX), ())


def step(name: str = "broken") -> fixing.Step:
    return fixing.Step(finding(name), FIX, ())


@pytest.fixture
def facts(environment: Environment) -> Facts:
    environment.add("a", "1", {"a/__init__.py": b"old"})
    (environment.prefix / "bin" / "tool").write_text("#!old")
    return gather(environment.prefix, {}, Machine(), host=HostFacts())


def installs(site: Path, *, fails: bool = False) -> object:
    """An installer that replaces a file as installers do: unlink, then create."""

    def run(_: Fix, __: Shell) -> str | None:
        target = site / "a" / "__init__.py"
        target.unlink()
        target.write_text("new")
        (site / "b").mkdir()
        return "no such version" if fails else None

    return run


def test_which_steps_may_run() -> None:
    building = Remedy("x", (), Fix(install=("c",), build=True))
    diagnosis = Diagnosis(
        (finding("yes"), finding("no-fix", Remedy("x")), finding("builds", building), finding("info", severity="info"))
    )

    assert [one.finding.id for one in fixing.steps(diagnosis)] == ["yes"]


def test_what_mends_is_kept(facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "_run", installs(environment.site))

    outcome = fixing.apply(step(), facts, Diagnosis((finding("broken"),)), lambda: Diagnosis(()))

    assert outcome.state == "mended"
    assert (environment.site / "a" / "__init__.py").read_text() == "new"
    assert not (environment.prefix / ".verl-env-kept").exists()


@pytest.mark.parametrize(
    "after", [Diagnosis((finding("broken"),)), Diagnosis((finding("fresh"),))], ids=["still there", "a new error"]
)
def test_what_does_not_is_taken_back(
    facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch, after: Diagnosis
) -> None:
    monkeypatch.setattr(fixing, "_run", installs(environment.site))

    outcome = fixing.apply(step(), facts, Diagnosis((finding("broken"),)), lambda: after)

    assert outcome.state == "taken-back"
    assert outcome.detail
    assert (environment.site / "a" / "__init__.py").read_text() == "old"
    assert not (environment.site / "b").exists()
    assert (environment.prefix / "bin" / "tool").read_text() == "#!old"
    assert sorted(path.name for path in environment.prefix.iterdir()) == ["bin", "lib", "pyvenv.cfg"]


def test_an_installer_that_fails(facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "_run", installs(environment.site, fails=True))

    outcome = fixing.apply(step(), facts, Diagnosis(()), lambda: pytest.fail("was diagnosed"))

    assert (outcome.state, outcome.detail) == ("failed", "no such version")
    assert (environment.site / "a" / "__init__.py").read_text() == "old"


def test_known_errors_do_not_count(facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "_run", installs(environment.site))
    before = Diagnosis((finding("broken"), finding("other")))

    assert fixing.apply(step(), facts, before, lambda: Diagnosis((finding("other"),))).state == "mended"


def test_without_an_environment() -> None:
    with pytest.raises(ValueError, match="broken"):
        fixing.apply(step(), Facts(), Diagnosis(()), lambda: Diagnosis(()))


def test_commands_of_uv_and_pip() -> None:
    uv = list(fixing.argv_of(FIX, Shell("uv", "/e/bin/python")))
    pip = list(fixing.argv_of(FIX, Shell("pip", "/e/bin/python")))

    assert uv[0] == ["uv", "pip", "uninstall", "--python", "/e/bin/python", "a"]
    assert uv[1] == ["uv", "pip", "install", "--python", "/e/bin/python", "--no-deps", "--reinstall", "b==1"]
    assert pip[0][1:] == ["-m", "pip", "--python", "/e/bin/python", "uninstall", "-y", "a"]
    assert pip[1][-3:] == ["--no-deps", "--force-reinstall", "b==1"]


def test_a_command_that_cannot_run(facts: Facts, environment: Environment) -> None:
    """The real installer on an environment without an interpreter: it fails, and nothing changes."""
    outcome = fixing.apply(step(), facts, Diagnosis(()), lambda: Diagnosis(()))

    assert outcome.state == "failed"
    assert (environment.site / "a" / "__init__.py").read_text() == "old"


def test_uv_need_not_be_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    from verl_env.doctor import fix
    from verl_env.install.backends.uv import Uv

    monkeypatch.setattr("verl_env.install.backends.uv.find_uv", lambda: Uv("/opt/tool/bin/uv", "0.13.8"))
    assert fix._program("uv") == "/opt/tool/bin/uv"
    assert fix._program("/opt/tool/bin/python") == "/opt/tool/bin/python"
    monkeypatch.setattr("verl_env.install.backends.uv.find_uv", lambda: None)
    assert fix._program("uv") == "uv"
