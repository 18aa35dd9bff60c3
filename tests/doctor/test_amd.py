"""On a machine of AMD no remedy installs what the index has for CUDA alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.doctor.checks.test_facts import BY_ID, CASES, facts_from
from verl_env.doctor.amd import CUDA_ONLY, for_amd
from verl_env.doctor.facts import Facts
from verl_env.doctor.model import Fix, Remedy
from verl_env.doctor.run import evaluate
from verl_env.machine.model import Amd, AmdDevice, Host, Machine
from verl_env.records import replace

MI300X = Machine(host=Host(), amd=Amd(rocm="7.2.1", devices=(AmdDevice(index=0, gfx="gfx942"),)))
AMD = Facts(machine=MI300X)
_CUDA = re.compile(
    rf"(?<!un)install\b.*[ \"'](?:{'|'.join(sorted(CUDA_ONLY))}|nvidia-\S+|cupy-cuda\S+|flashinfer\S+)(?:[=<>\[ ]|$)"
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["check"]))
def test_no_remedy_of_any_check_installs_wheels_of_cuda(case: dict[str, Any]) -> None:
    facts = replace(facts_from(case["hit"]), machine=MI300X)
    finding = evaluate(BY_ID[case["check"]], facts)
    if finding is None:
        return
    for line in finding.remedy.commands:
        assert not _CUDA.search(line), line
    fix = finding.remedy.fix
    assert fix is None or not {re.split(r"[=<>\[]", each)[0] for each in fix.install} & CUDA_ONLY


@pytest.mark.parametrize(
    "line",
    [
        "pip install torch==2.11.0",
        "uv pip install --python /x vllm",
        "verl-env pip install nvidia-cudnn-cu12==9.8.0.87",
        "verl-env pip --into /x install flash-attn",
    ],
)
def test_what_it_says_instead(line: str) -> None:
    remedy = for_amd(Remedy("Do it.", ("rm x", line), Fix(install=("torch==2.11.0",))), AMD)
    assert remedy.commands == ("verl-env plan --stack vllm",)
    assert remedy.fix is None
    assert "for CUDA alone" in remedy.text


def test_what_is_not_of_cuda_stays() -> None:
    remedy = Remedy("Do it.", ("verl-env pip install numpy==1.26.4", "verl-env doctor --fix"), Fix(restore=("torch",)))
    assert for_amd(remedy, AMD) is remedy


def test_other_machines_are_left_alone() -> None:
    remedy = Remedy("Do it.", ("pip install torch==2.11.0",))
    assert for_amd(remedy, Facts()) is remedy
