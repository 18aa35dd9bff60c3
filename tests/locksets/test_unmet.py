from __future__ import annotations

import pytest

from verl_env.locksets.replay import Pinned
from verl_env.locksets.target import LockTarget
from verl_env.locksets.unmet import ABSENT, UnmetRequirement, unmet_requirements

MARKERS = LockTarget("3.10", "x86_64", "2.35").markers


def environment(*pins: tuple[str, str, list[str]], virtual: tuple[str, ...] = ()) -> dict[str, Pinned]:
    return {name: Pinned(name, version, tuple(requires), name in virtual) for name, version, requires in pins}


@pytest.mark.parametrize(
    ("requirement", "missed"),
    [
        ("b", None),
        ("b>=1,<3", None),
        ("B.", None),
        ("b==1.0", UnmetRequirement("a", "b==1.0", "b", "2.0")),
        ("b<2", UnmetRequirement("a", "b<2", "b", "2.0")),
        ("b (<2)", UnmetRequirement("a", "b<2", "b", "2.0")),
        ("b~=1.26.0 ; python_version < '3.11'", UnmetRequirement("a", "b~=1.26.0", "b", "2.0")),
        ("b<2; python_version >= '3.11'", None),
        ("b<2; extra == 'fast'", None),
        ("b<2; sys_platform == 'darwin' or platform_machine == 'aarch64'", None),
        ("c", UnmetRequirement("a", "c", "c", ABSENT)),
        ("C_c.c[extra]>=3", UnmetRequirement("a", "c-c-c>=3", "c-c-c", ABSENT)),
        ("pre>=0.2rc1", None),
        ("not a requirement", UnmetRequirement("a", "not a requirement", "not a requirement", "unreadable")),
    ],
)
def test_a_requirement_is_judged_as_pip_check_does(requirement, missed):
    installed = environment(("a", "1", [requirement.replace("B.", "B")]), ("b", "2.0", []), ("pre", "0.2rc2", []))
    assert unmet_requirements(installed, MARKERS) == ((missed,) if missed else ())


def test_virtual_components_satisfy_and_are_not_judged():
    installed = environment(
        ("a", "1", ["attention>=2"]), ("attention", "2.7", ["nowhere", "a<1"]), virtual=("attention",)
    )
    assert unmet_requirements(installed, MARKERS) == ()


def test_the_same_requirement_twice_is_one_and_all_are_in_order():
    installed = environment(("z", "1", ["b<2", "b<2"]), ("a", "1", ["b<2", "b<1"]), ("b", "2.0", []))
    assert [(missed.package, missed.requires) for missed in unmet_requirements(installed, MARKERS)] == [
        ("a", "b<1"), ("a", "b<2"), ("z", "b<2"),
    ]  # fmt: skip
