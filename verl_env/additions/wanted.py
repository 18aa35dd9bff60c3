"""Which additions must be in an environment: for the inspection that finds nothing to do, and so must be quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.plans.compare import RequiredDistribution

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from verl_env.environment.state import Extra, State
    from verl_env.plans.model import Plan


def recorded(state: State | None, plan: Plan) -> tuple[Extra, ...]:
    """The additions that an installation keeps: not those that needed a moved pin, and not what the lock brings."""
    if state is None:
        return ()
    locked = {package.name for package in plan.packages} | {build.name for build in plan.natives}
    locked |= {each.name for each in plan.provided}
    return tuple(extra for extra in state.extras if not extra.drifted and extra.name not in locked)


def wanted_extras(extras: Collection[Extra]) -> dict[str, RequiredDistribution]:
    """Additions as what must be in an environment."""
    return {each.name: RequiredDistribution(each.name, each.version, each.origin, each.editable) for each in extras}


def missing_wishes(plan: Plan, extras: Collection[Extra]) -> tuple[str, ...]:
    """What a plan asks for beside the lock and recorded additions do not meet."""
    if not plan.extras:
        return ()
    from verl_env.additions.metadata import met  # noqa: PLC0415 (only wishes need it)

    versions = {extra.name: extra.version for extra in extras}
    return tuple(text for text in plan.extras if not met(text, versions, plan.python))


def undone(state: State, plan: Plan) -> Iterator[str]:
    """What an installation takes back of what was moved on purpose, in words."""
    locked = {package.name: package.version for package in plan.packages}
    for name, version in state.drift.items():
        if name in locked and locked[name] != version:
            now = "was removed" if version is None else f"{version} was put there"
            yield f"{name} {now} on purpose (verl-env pip --allow-drift); it is {locked[name]} again, as locked"
    for extra in state.extras:
        if extra.drifted and extra.wish is not None:
            yield f"{extra.name} {extra.version} goes: it could only be had by moving pins ({extra.wish})"
