"""The machines that the shipped locksets must answer rightly: all of CUDA 12.4, for x86_64."""

import json
from pathlib import Path

import pytest

from tests.choose.test_cases import check_choice, check_refusal, request_of
from verl_env.choose.choose import choose, evaluate
from verl_env.choose.compare import reaches
from verl_env.choose.fits import supported_gpus
from verl_env.choose.model import Request
from verl_env.locksets.catalogue import load_catalogue
from verl_env.machine.record import machine_from_json

IDS = (
    "verl0.4-cu124-torch2.6-fa2.7.4/app.vllm.mcore0.12",
    "verl0.4-cu124-torch2.6-fa2.7.4/app.sglang.vllm.mcore0.12",
    "verl0.3-cu124-torch2.6-fa2.7.4/ngc.vllm0.8",
    "verl0.3-cu124-torch2.6-fa2.7.4/ngc.vllm0.8.sagemaker",
)
CASES = json.loads((Path(__file__).parent / "shipped.json").read_text())


@pytest.fixture(scope="module")
def shipped():
    return [lockset for lockset in load_catalogue() if lockset.id in IDS]


def test_all_four_are_there(shipped):
    assert {lockset.id for lockset in shipped} == set(IDS)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_decision(shipped, case):
    found = choose(shipped, machine_from_json(case["machine"]), request_of(case["request"]))
    if case["expect"]["lockset"] is None:
        check_refusal(found, case["expect"])
    else:
        check_choice(found, case["expect"])


@pytest.mark.parametrize("glibc", ["2.17", "2.28", "2.31", "2.35", "2.39"])
def test_glibc_refuses_exactly_below_what_the_files_need(shipped, glibc):
    described = machine_from_json(
        {
            "schema": 1,
            "host": {"arch": "x86_64", "glibc": glibc},
            "nvidia": {"driver": "550.54.15", "devices": [{"compute_capability": "9.0"}]},
        }
    )
    for lockset in shipped:
        assert lockset.requires.glibc is not None, f"{lockset.id} does not say which glibc it needs"
        found = evaluate(lockset, described, Request(()))
        assert found.fits is reaches(glibc, lockset.requires.glibc.minimum)


@pytest.mark.parametrize("capability", ["7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0"])
def test_ampere_ada_and_hopper_and_nothing_else(shipped, capability):
    for lockset in shipped:
        assert (capability in supported_gpus(lockset)) is (capability in {"8.0", "8.6", "8.9", "9.0"}), lockset.id
