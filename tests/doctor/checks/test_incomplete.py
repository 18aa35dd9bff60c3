"""What verl misses of its native components: by the record of an environment, else by its release of verl."""

from __future__ import annotations

import pytest

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.facts import Facts
from verl_env.doctor.run import evaluate
from verl_env.environment.state import State
from verl_env.install.completeness import of_state
from verl_env.locksets.catalogue import load_catalogue
from verl_env.machine.model import Amd, AmdDevice, Machine, Nvidia, NvidiaDevice
from verl_env.records import replace

BY_ID = {check.id: check for check in CHECKS}
FLASH_ATTN, OTHERS = BY_ID["flash-attn-absent"], BY_ID["component-left-out"]
GPU = Machine(nvidia=Nvidia(driver="580.95.05", devices=(NvidiaDevice(0, compute_capability="9.0"),)))
INSTINCT = Machine(amd=Amd(devices=(AmdDevice(0, gfx="gfx942"),)))
ASKED = ("--stack", "vllm+megatron", "--gpu", "h100")


def facts(verl: str = "0.9.1", machine: Machine = GPU, **more: object) -> Facts:
    return Facts(machine=machine, packages={"verl": verl}, packages_complete=True, **more)  # type: ignore[arg-type]


def made(lockset_id: str, *names: str) -> Facts:
    """The facts of an environment whose record says that some components were left out."""
    lockset = next(each for each in load_catalogue() if each.id == lockset_id)
    state = State("/e", lockset.id, "vllm", "3.12", "d", None, dict.fromkeys(names, "no wheel fits"), (), asked=ASKED)
    return facts(lockset.verl, completeness=of_state(state, lockset, ".venv"), lockset=lockset.id)


@pytest.mark.parametrize(("machine", "severity"), [(GPU, "warning"), (INSTINCT, "warning"), (Machine(), "info")])
def test_it_weighs_more_where_somebody_trains(machine: Machine, severity: str) -> None:
    finding = evaluate(FLASH_ATTN, facts(machine=machine))
    assert finding is not None
    assert finding.severity == severity


def test_another_environment_is_judged_by_its_verl() -> None:
    finding = evaluate(FLASH_ATTN, facts("0.9.1"))
    assert finding is not None
    assert "without flash-attn verl's default attention stops" in finding.evidence
    assert "attn_implementation=sdpa" in finding.remedy.text
    old = evaluate(FLASH_ATTN, facts("0.4.1"))
    assert old is not None
    assert "attn_implementation" not in old.remedy.text
    assert old.remedy.commands == ("pip install --no-deps --no-build-isolation flash-attn",)
    assert evaluate(FLASH_ATTN, facts("0.99")) is None


def test_the_record_names_the_command_that_gives_it() -> None:
    found = made("verl0.9.1-cu130/uv.vllm", "flash-attn")
    finding = evaluate(FLASH_ATTN, found)
    assert finding is not None
    assert finding.evidence[1:] == (
        "without flash-attn verl's default attention stops",
        "flash-attn: no wheel fits",
    )
    assert finding.remedy.commands == ("verl-env pip install ./flash_attn-*.whl",)
    assert evaluate(OTHERS, found) is None


def test_other_components_have_a_finding_of_their_own() -> None:
    found = made("verl0.9.1-cu130/uv.vllm.megatron", "transformer-engine", "megatron-core", "apex")
    finding = evaluate(OTHERS, found)
    assert finding is not None
    assert finding.severity == "warning"
    assert "without transformer-engine verl's own Megatron models stop" in finding.evidence
    assert not [line for line in finding.evidence if line.startswith("without apex")]
    assert evaluate(OTHERS, replace(found, completeness=None)) is None
