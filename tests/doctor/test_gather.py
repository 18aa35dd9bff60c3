"""What an environment says of itself: its lockset, the pins of it, and what is unmet on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.gather import gather
from verl_env.doctor.run import evaluate
from verl_env.environment.state import State, write_state
from verl_env.machine.model import Machine
from verl_env.records import replace

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.doctor.facts import Facts

LOCKSET = "verl0.4-cu124-torch2.6-fa2.7.4/app.sglang.vllm.mcore0.12"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    site = tmp_path / "lib" / "python3.10" / "site-packages"
    for name, version in (("torch", "2.6.0"), ("verl", "0.4.1")):
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return tmp_path


def facts(prefix: Path, lockset: str | None = LOCKSET, *, source: str | None = None) -> Facts:
    if lockset is not None:
        write_state(prefix, State(str(prefix), lockset, "vllm", "3.10", "0", source, {}, ()))
    return gather(prefix, {}, Machine(), host=HostFacts())


def test_its_pins_and_what_it_leaves_unmet_are_known(prefix: Path) -> None:
    found = facts(prefix)
    assert found.lockset == LOCKSET
    assert (found.locked["torch"], found.locked["verl"]) == ("2.6.0", "0.4.1")
    assert len(found.unmet) == 7
    assert ("torch", "nvidia-cudnn-cu12") in found.unmet


def test_a_checkout_of_verl_is_no_drift(prefix: Path) -> None:
    assert "verl" not in facts(prefix, source="/src/verl").locked


def test_what_was_moved_knowingly_is_no_warning(prefix: Path) -> None:
    state = State(str(prefix), LOCKSET, "vllm", "3.10", "0", None, {}, (), drift={"torch": "2.7.0", "ray": None})
    packages = {"torch": "2.7.0", "click": "8.3.0"}
    write_state(prefix, state)
    found = replace(gather(prefix, {}, Machine(), host=HostFacts()), packages=packages, packages_complete=True)
    found = replace(found, locked={"torch": "2.6.0", "ray": "2.47.1", "click": "8.2.1"})
    check = next(check for check in CHECKS if check.id == "lockset-drift")
    finding = evaluate(check, found)
    assert finding is not None
    assert (finding.severity, finding.evidence) == ("warning", ("click 8.3.0, locked: 8.2.1",))
    assert finding.remedy.fix is not None
    assert finding.remedy.fix.restore == ("click",)
    as_wished = evaluate(check, replace(found, packages={"torch": "2.7.0", "click": "8.2.1"}))
    assert as_wished is not None
    assert (as_wished.severity, as_wished.remedy.commands) == ("info", ())
    assert as_wished.title == f"2 packages differ from lockset {LOCKSET} on purpose"


def test_an_unknown_lockset_is_only_named(prefix: Path) -> None:
    found = facts(prefix, "verl9.9/of.tomorrow")
    assert (found.lockset, dict(found.locked), found.unmet) == ("verl9.9/of.tomorrow", {}, frozenset())


def test_an_environment_of_somebody_else_says_nothing(prefix: Path) -> None:
    assert facts(prefix, None).lockset is None
