"""Each of the sixteen variants is the answer on a machine that fits it, when it is asked for; previews only then."""

import pytest

from verl_env.choose.choose import choose
from verl_env.choose.model import Choice, Request
from verl_env.components.load import load_catalogue as load_components
from verl_env.locksets.catalogue import load_catalogue, packages_of
from verl_env.machine.record import machine_from_json
from verl_env.plans.plan import make_plan

SIXTEEN = [lockset for lockset in load_catalogue() if lockset.id.startswith(("verl0.3-", "verl0.4-cu124"))]
COMPONENTS = load_components()
LOCKED = [lockset for lockset in SIXTEEN if lockset.tier != "recorded"]
RECORDED = [lockset for lockset in SIXTEEN if lockset.tier == "recorded"]


def machine(lockset):
    """A machine that has all that a lockset asks for."""
    gpus = {"nvidia": {"driver": "550.54.15", "devices": [{"compute_capability": "9.0"}]}, "amd": None}
    if lockset.accelerator == "rocm":
        gpus = {"nvidia": None, "amd": {"rocm": lockset.rocm, "devices": [{"gfx": "gfx942"}]}}
    return machine_from_json({"schema": 1, "host": {"arch": "x86_64", "glibc": "2.35"}, **gpus})


def test_they_are_sixteen():
    assert (len(SIXTEEN), len(RECORDED)) == (16, 0)


@pytest.mark.parametrize("lockset", LOCKED, ids=lambda lockset: lockset.id)
def test_each_is_reachable(lockset):
    request = Request(lockset.provides, lockset=lockset.id)
    found = choose(SIXTEEN, machine(lockset), request, components=COMPONENTS)
    assert isinstance(found, Choice)
    assert found.lockset is lockset
    plan = make_plan(found, packages_of(lockset, found.python), request, machine(lockset))
    assert {step.kind for step in plan.steps} >= {"environment", "packages", "runtime", "check", "switch"}
    needed = [each for each in lockset.natives if not each.needed_for or {*each.needed_for} & {*lockset.provides}]
    assert {each.name for each in plan.natives} >= {each.name for each in needed}
    assert bool([step for step in plan.steps if step.kind == "wheels"]) is (lockset.accelerator == "rocm")


@pytest.mark.parametrize("stack", ["vllm", "sglang", "vllm+sglang", "vllm+megatron", "vllm+megatron+deepep"])
def test_no_preview_is_chosen_unasked(stack):
    found = choose(SIXTEEN, machine(LOCKED[0]), Request(tuple(stack.split("+"))))
    assert isinstance(found, Choice)
    assert not found.lockset.preview
    assert found.lockset.family == "0.4"
