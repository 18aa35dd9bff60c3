"""What an environment must hold by a plan, and how one that is there differs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.history import Change
from verl_env.environment.installed import same_version
from verl_env.plans.plan import VERL
from verl_env.records import NOTHING, record
from verl_env.wheels.runtime import NAME as RUNTIME
from verl_env.wheels.runtime import runtime_version

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from verl_env.choose.model import Build
    from verl_env.environment.installed import Distribution
    from verl_env.plans.model import Plan


@record
class RequiredDistribution:
    """One distribution that must be there.

    ``version`` None accepts any (a checkout states its own); ``origin`` is the address or directory it may come from,
    None where only an index or a wheelhouse may give it; ``local`` accepts any local version, as native wheels carry
    them; ``fresh`` accepts nothing that is there; ``remark`` says why, where versions do not.
    """

    name: str
    version: str | None
    origin: str | None = None
    editable: bool = False
    local: bool = False
    fresh: bool = False
    remark: str = ""


def wanted(
    plan: Plan,
    *,
    without: Container[str] = (),
    built: Mapping[str, str] | None = None,
    anew: Mapping[str, str] = NOTHING,
) -> dict[str, RequiredDistribution]:
    """Everything that the plan puts into the environment, by name.

    Args:
        plan: The plan.
        without: Natives that are left out.
        built: Components that were built in the environment that is there, with the versions that they were planned
            as: only these count as built. None where the environment is one that was just made.
        anew: Native components that must be made anew whatever their versions, with the reason.
    """
    found = {
        package.name: RequiredDistribution(package.name, package.version, package.url, local=package.by_index)
        for package in plan.packages
    }
    for choice in plan.natives:
        if choice.how != "skip" and brings_wheel(choice) and choice.name not in without:
            found[choice.name] = _native(choice, built, anew.get(choice.name))
    found |= {each.name: RequiredDistribution(each.name, each.version) for each in plan.provided}
    if plan.verl_source is not None:
        found[VERL] = RequiredDistribution(VERL, None, Path(plan.verl_source).as_uri(), editable=True)
    found[RUNTIME] = RequiredDistribution(RUNTIME, runtime_version())
    return found


def as_taken(choice: Build, ways: Mapping[str, str]) -> Build:
    """A component by the way that is recorded of it, where the plan allows that one; else as the plan has it."""
    return next((way for way in choice.others if way.way == ways.get(choice.name)), choice)


def _native(choice: Build, built: Mapping[str, str] | None, anew: str | None) -> RequiredDistribution:
    """A commit or a branch states a version of its own when it is built, which may be any."""
    if anew is not None:
        return RequiredDistribution(choice.name, choice.version, local=choice.how != "build", fresh=True, remark=anew)
    if choice.how != "build":
        return RequiredDistribution(choice.name, choice.version, local=True, fresh=choice.name in (built or {}))
    fresh = built is not None and built.get(choice.name) != choice.version
    return RequiredDistribution(choice.name, choice.version if fresh else None, fresh=fresh)


def brings_wheel(choice: Build) -> bool:
    """Whether a component gets into the environment; others are only made for what is built upon them."""
    return choice.how != "build" or choice.recipe is None or choice.recipe.product == "wheel"


def satisfies(have: Distribution, want: RequiredDistribution) -> bool:
    """Whether an installed distribution is the one that is wanted, by its metadata."""
    if want.fresh or not have.whole or have.editable != want.editable:
        return False
    if have.origin is not None and not same_address(have.origin, want.origin):
        return False
    return want.version is None or same_version(have.version, want.version, local=want.local)


def compare(have: Mapping[str, Distribution], want: Mapping[str, RequiredDistribution]) -> tuple[Change, ...]:
    """The changes that turn what is there into what is wanted, by name; empty where they agree."""
    changes = []
    for name in sorted(have.keys() | want.keys()):
        old, new = have.get(name), want.get(name)
        if old is None and new is not None:
            changes.append(Change("+", name, None, _wanted_text(new)))
        elif new is None and old is not None:
            changes.append(Change("-", name, _installed_text(old), None))
        elif old is not None and new is not None and not satisfies(old, new):
            changes.append(Change("~", name, _installed_text(old), _wanted_text(new)))
    return tuple(changes)


def same_address(one: str | None, other: str | None) -> bool:
    """Whether two origins are one, but for what installers add to or drop from an address; None is an index."""
    return _address(one) == _address(other)


def _address(origin: str | None) -> str | None:
    return None if origin is None else origin.partition("#")[0].rstrip("/").replace("%2B", "+")


def _installed_text(distribution: Distribution) -> str:
    remarks = [f"from {distribution.origin}"] if distribution.origin else []
    remarks += [] if distribution.whole else ["incomplete"]
    return f"{distribution.version} ({', '.join(remarks)})" if remarks else distribution.version


def _wanted_text(want: RequiredDistribution) -> str:
    version = want.version or ("checkout" if want.editable else "built")
    remarks = [f"from {want.origin}"] if want.origin else []
    remarks += [want.remark] if want.remark else []
    return f"{version} ({', '.join(remarks)})" if remarks else version
