"""Machines with AMD GPUs: each gets a lockset that fits it, or a refusal that leaves no lockset out."""

import pytest

from verl_env.choose.choose import choose
from verl_env.choose.model import Choice, Request
from verl_env.locksets.catalogue import load_catalogue
from verl_env.machine.record import machine_from_json

LOCKSETS = load_catalogue()
REFUSED = None

#: gfx target, ROCm, glibc: the lockset, or that there is none.
MACHINES = [
    ("gfx906", "5.7", "2.28", REFUSED),
    ("gfx908", "6.0.2", "2.31", REFUSED),
    ("gfx908", "6.3.3", "2.35", REFUSED),
    ("gfx90a", "6.3.0", "2.28", "rocm/rocm6"),
    ("gfx90a", "6.2.4", "2.35", REFUSED),
    ("gfx90a", "7.0.0", "2.35", "rocm/rocm7"),
    ("gfx90a", "7.2.1", "2.34", REFUSED),
    ("gfx942", "6.3.4", "2.31", "rocm/rocm6"),
    ("gfx942", "7.0.2", "2.35", "rocm/rocm702"),
    ("gfx942", "7.2.3", "2.39", "rocm/vllm0.26"),
    ("gfx950", "7.14.0", "2.39", "rocm/rocm714"),
    ("gfx950", "10.0.0", "2.39", "rocm/rocm10"),
]
#: What no lockset has code for, or no wheel at all: graphics cards, and graphics within a processor.
GRAPHICS = ["gfx1030", "gfx1100", "gfx1201", "gfx1036", "gfx1151"]


def machine(*gfx, rocm="7.2.1", glibc="2.39"):
    devices = [{"index": index, "gfx": each} for index, each in enumerate(gfx)]
    host = {"arch": "x86_64", "glibc": glibc, "os": "linux"}
    return machine_from_json({"schema": 1, "host": host, "nvidia": None, "amd": {"rocm": rocm, "devices": devices}})


def complete(refusal, gfx):
    """Whether every lockset is there with a reason, and those for AMD name this GPU, ROCm or glibc."""
    assert {each.lockset.id for each in refusal.evaluations} == {lockset.id for lockset in LOCKSETS}
    for evaluation in refusal.evaluations:
        failed = [verdict for verdict in evaluation.verdicts if verdict.outcome == "failed"]
        assert failed, f"{evaluation.lockset.id} is refused without a reason"
        if evaluation.lockset.accelerator == "rocm":
            assert {verdict.requirement for verdict in failed} & {"gfx", "rocm", "glibc", "stack"}
        else:
            assert "accelerator" in {verdict.requirement for verdict in failed}


@pytest.mark.parametrize(("gfx", "rocm", "glibc", "wanted"), MACHINES)
def test_twelve_machines(gfx, rocm, glibc, wanted):
    found = choose(LOCKSETS, machine(gfx, rocm=rocm, glibc=glibc), Request(("vllm",)))
    if wanted is REFUSED:
        complete(found, gfx)
    else:
        assert isinstance(found, Choice)
        assert found.lockset.id == wanted
        assert found.lockset.tier == "planned", "no AMD GPU has run one"


@pytest.mark.parametrize("gfx", GRAPHICS)
@pytest.mark.parametrize("rocm", ["6.3.4", "7.2.1", "10.0.0"])
def test_graphics_get_a_complete_refusal(gfx, rocm):
    found = choose(LOCKSETS, machine(gfx, rocm=rocm), Request(("vllm",)))
    complete(found, gfx)
    said = {verdict.message for each in found.evaluations for verdict in each.verdicts if verdict.requirement == "gfx"}
    assert any(gfx in message for message in said)


def test_graphics_beside_a_card_do_not_decide():
    found = choose(LOCKSETS, machine("gfx942", "gfx1036", rocm="7.2.1"), Request(("vllm",)))
    assert isinstance(found, Choice)
    assert found.lockset.id == "rocm/vllm0.26"


@pytest.mark.parametrize("stack", [("vllm",), ("vllm", "megatron"), ("sglang",)])
@pytest.mark.parametrize("rocm", ["6.3.4", "7.14.0", "10.0.0"])
def test_other_stacks(stack, rocm):
    found = choose(LOCKSETS, machine("gfx942", rocm=rocm), Request(stack))
    assert isinstance(found, Choice)
    assert set(stack) <= set(found.lockset.provides)


@pytest.mark.parametrize("lockset", [each for each in LOCKSETS if each.accelerator == "rocm"], ids=lambda each: each.id)
def test_a_lock_for_amd_brings_nothing_of_cuda(lockset):
    from verl_env.locksets.catalogue import packages_of

    for lock in lockset.pythons:
        packages = {package.name: package for package in packages_of(lockset, lock.python)}
        assert not [
            name for name in packages if name.startswith(("nvidia-cu", "nvidia-nccl", "cupy-cuda", "flashinfer"))
        ]
        assert packages["torch"].url is not None
        assert not ({"triton", "pytorch-triton-rocm"} <= packages.keys()), "both hold the module triton"
        assert packages.get("triton", packages["torch"]).url is not None
