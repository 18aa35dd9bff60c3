"""In an environment with a lockset no remedy removes what may not come back, or asks for another version."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from tests.doctor.checks.test_facts import BY_ID, CASES, facts_from
from verl_env.doctor.facts import Facts
from verl_env.doctor.model import Fix, Remedy
from verl_env.doctor.restore import for_lockset, package_command
from verl_env.doctor.run import evaluate
from verl_env.records import replace

LOCKED = Facts(
    packages={"numpy": "1.26.4", "torch": "2.7.1", "nvidia-nccl-cu12": "2.26.2", "mine": "1"},
    packages_complete=True,
    duplicates={"numpy": ("1.26.4", "2.2.6")},
    lockset="family/variant",
    locked={"numpy": "1.26.4", "torch": "2.6.0", "nvidia-nccl-cu12": "2.21.5", "click": "8.2.1"},
    natives=frozenset({"flash-attn"}),
)


def said(*commands: str) -> Remedy:
    return for_lockset(Remedy("Do it.", commands), LOCKED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["check"]))
def test_every_remedy_goes_through_the_one_writer(case: dict[str, Any]) -> None:
    facts = facts_from(case["hit"])
    pins = {**dict.fromkeys(facts.packages.keys() - {"flash-attn"}, "9.9.9"), **facts.locked}
    known = replace(facts, lockset="family/variant", locked=pins, natives=frozenset({"flash-attn"}))
    finding = evaluate(BY_ID[case["check"]], known)
    if finding is None:
        return
    for line in finding.remedy.commands:
        assert package_command(line) is None, "pip and uv know nothing of the lockset"
        words = shlex.split(line)
        assert words[:3] != ["verl-env", "pip", "uninstall"]
        if words[:2] == ["verl-env", "pip"]:
            assert not any(word.startswith(name) for word in words[3:] for name in known.natives)
            assert not {word.partition("=")[0].partition("<")[0] for word in words[3:]} & pins.keys()
    fix = finding.remedy.fix
    assert fix is None or not fix.build
    assert fix is None or not {*fix.uninstall, *fix.install} & {*pins, *known.natives}


def test_a_second_version_is_not_uninstalled_first() -> None:
    found = said("pip uninstall -y numpy", "pip uninstall -y numpy", "pip install --no-deps numpy==2.2.6", "rm -r '~x'")
    assert found.fix == Fix(restore=("numpy",), reinstall=True)
    assert found.commands == ("verl-env doctor --fix", "rm -r '~x'")
    assert "numpy 1.26.4 as lockset family/variant has it" in found.text


def test_what_came_along_goes_back_too() -> None:
    alone, along = said("pip install --no-deps torch==2.6.0"), said("uv pip install --python /x torch==2.6.0")
    assert alone.fix is not None
    assert along.fix is not None
    assert (alone.fix.restore, along.fix.restore) == (("torch",), ("torch", "nvidia-nccl-cu12"))


def test_native_components_are_chosen_and_not_built_from_the_index() -> None:
    found = said("/env/bin/python -m pip install --no-deps --force-reinstall --no-build-isolation flash-attn==2.8.3")
    assert (found.fix, found.commands) == (Fix(restore=("flash-attn",), reinstall=True), ("verl-env doctor --fix",))


def test_what_the_lockset_does_not_have() -> None:
    assert said("pip install --no-deps tbb").commands == ("verl-env pip install tbb",)
    assert said("pip uninstall -y mine", "pip install mine==2").fix == Fix(install=("mine==2",), reinstall=True)
    assert said("pip uninstall -y mine").fix == Fix(uninstall=("mine",), reinstall=True)
    assert said("pip install --no-build-isolation .").commands == ("verl-env pip install --no-build-isolation .",)


def test_what_contradicts_the_lockset_itself() -> None:
    facts = replace(LOCKED, duplicates={})
    found = for_lockset(Remedy("Do it.", ("pip install 'numpy>=2'",)), facts)
    assert (found.fix, found.commands) == (None, ("verl-env stacks",))


def test_without_a_lockset_a_remedy_stays() -> None:
    mine = Remedy("Do it.", ("pip install numpy",))
    assert for_lockset(mine, Facts()) is mine
