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
from verl_env.environment.reuse import sites
from verl_env.machine.model import Machine

if TYPE_CHECKING:
    from tests.doctor.conftest import Environment
    from verl_env.environment.change import NewGeneration

FIX = Fix(uninstall=("a",), install=("b==1",), reinstall=True)


def finding(name: str, how: Remedy | None = None, severity: Severity = "error") -> Finding:
    return Finding(name, "other", severity, "t", ("e",), "c", how or remedy(Shell(), "x", FIX), ())


def step(name: str = "broken") -> fixing.FixStep:
    return fixing.FixStep(finding(name), FIX, ())


@pytest.fixture
def facts(environment: Environment) -> Facts:
    environment.add("a", "1", {"a/__init__.py": b"old"})
    (environment.prefix / "bin" / "tool").write_text("#!old")
    return gather(environment.prefix, {}, Machine(), host=HostFacts())


def installs(*, fails: bool = False) -> object:
    """A fix that replaces a package by another with a file of the same path, in the generation that is being made."""

    def carry_out(fix: Fix, new: NewGeneration) -> str | None:
        new.begin_from_old()
        site = sites(new.path)[0]
        (site / "a").mkdir()
        (site / "a" / "__init__.py").write_text("new")
        (site / "b").mkdir()
        new.take_over(gone=fix.uninstall)
        return "no such version" if fails else None

    return carry_out


def test_which_steps_may_run() -> None:
    building = Remedy("x", (), Fix(install=("c",), build=True))
    diagnosis = Diagnosis(
        (finding("yes"), finding("no-fix", Remedy("x")), finding("builds", building), finding("info", severity="info"))
    )

    assert [one.finding.id for one in fixing.steps(diagnosis)] == ["yes"]


def test_what_mends_is_kept(facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "_carry_out", installs())

    outcome = fixing.apply(step(), facts, Diagnosis((finding("broken"),)), lambda _: Diagnosis(()))

    assert outcome.state == "mended"
    assert (environment.site / "a" / "__init__.py").read_text() == "new"
    assert not list(environment.prefix.with_name("env.d").glob("*.stage"))


@pytest.mark.parametrize(
    "after", [Diagnosis((finding("broken"),)), Diagnosis((finding("fresh"),))], ids=["still there", "a new error"]
)
def test_what_does_not_is_taken_back(
    facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch, after: Diagnosis
) -> None:
    monkeypatch.setattr(fixing, "_carry_out", installs())

    outcome = fixing.apply(step(), facts, Diagnosis((finding("broken"),)), lambda _: after)

    assert outcome.state == "taken-back"
    assert outcome.detail
    assert (environment.site / "a" / "__init__.py").read_text() == "old"
    assert not (environment.site / "b").exists()
    assert (environment.prefix / "bin" / "tool").read_text() == "#!old"
    assert sorted(path.name for path in environment.prefix.iterdir()) == ["bin", "lib", "pyvenv.cfg"]


def test_an_installer_that_fails(facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "_carry_out", installs(fails=True))

    outcome = fixing.apply(step(), facts, Diagnosis(()), lambda _: pytest.fail("was diagnosed"))

    assert (outcome.state, outcome.detail) == ("failed", "no such version")
    assert (environment.site / "a" / "__init__.py").read_text() == "old"


def test_known_errors_do_not_count(facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixing, "_carry_out", installs())
    before = Diagnosis((finding("broken"), finding("other")))

    assert fixing.apply(step(), facts, before, lambda _: Diagnosis((finding("other"),))).state == "mended"


def test_without_an_environment() -> None:
    with pytest.raises(ValueError, match="broken"):
        fixing.apply(step(), Facts(), Diagnosis(()), lambda _: Diagnosis(()))


def test_a_command_that_cannot_run(facts: Facts, environment: Environment) -> None:
    """The real installer on an environment without an interpreter: it fails, and nothing changes."""
    outcome = fixing.apply(step(), facts, Diagnosis(()), lambda _: Diagnosis(()))

    assert outcome.state == "failed"
    assert (environment.site / "a" / "__init__.py").read_text() == "old"
