"""What is at a target, held against a plan: the fast path of an installation that has nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.additions.wanted import missing_wishes, recorded, wanted_extras
from verl_env.builds.staleness import stale_builds
from verl_env.environment.binding import is_bound
from verl_env.environment.damage import spoiled
from verl_env.environment.expected import kept_files
from verl_env.environment.installed import broken_interpreter, installed, site_packages
from verl_env.environment.state import read_state
from verl_env.plans.compare import as_taken, compare, satisfies, wanted
from verl_env.plans.inspection import Inspection
from verl_env.plans.plan import plan_digest
from verl_env.records import NOTHING, replace
from verl_env.wheels.runtime import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.environment.expected import Expected
    from verl_env.environment.installed import Distribution
    from verl_env.environment.state import State
    from verl_env.environment.target import Target
    from verl_env.installers.options import Options
    from verl_env.plans.compare import RequiredDistribution
    from verl_env.plans.model import Plan


def inspect(plan: Plan, target: Target, options: Options) -> Inspection:
    """Compares; reads files only, and starts nothing."""
    current = target.current()
    environment = current if current is not None and current.is_dir() else None
    state = read_state(environment) if environment is not None else None
    digest = plan_digest(plan, fingerprint(plan.lockset.id))
    extras = recorded(state, plan)
    want = wanted_extras(extras) | _wanted(plan, state, digest, stale_builds(plan, state, options.machine))
    site = site_packages(target.path if environment is None else environment, plan.python)
    have = {} if environment is None else installed(site)
    if environment is not None and not have and state is not None and state.python != plan.python:
        site = site_packages(environment, state.python)
        have = installed(site)
    read = {} if environment is None else kept_files(environment)
    want = _with_repairs(_with_other_places(want, plan, state), have, site, state, read)
    changes = compare(have, want)
    reason = _reason(plan, target, options, state, digest)
    if reason is None and not is_bound(site):
        reason = "processes that run in it would get the files of a later state"
    if reason is None and (missing := missing_wishes(plan, extras)):
        reason = f"it lacks what is asked for with it ({', '.join(missing)})"
    return Inspection(environment, state, want, digest, changes, reason)


def _wanted(plan: Plan, state: State | None, digest: str, anew: Mapping[str, str]) -> dict[str, RequiredDistribution]:
    """What the plan puts into the environment; where it did so before, what came of it: left out, or by another way."""
    if state is None or state.digest != digest:
        return wanted(plan, built={} if state is None else state.built, anew=anew)
    required = {choice.name for choice in plan.natives if choice.required}
    natives = tuple(as_taken(choice, state.ways) for choice in plan.natives)
    without = state.left_out.keys() - required
    return wanted(replace(plan, natives=natives), without=without, built=state.built, anew=anew)


def _with_other_places(
    want: Mapping[str, RequiredDistribution], plan: Plan, state: State | None
) -> dict[str, RequiredDistribution]:
    """What is wanted, and anew of it what the site provides now and did not before, or the other way round."""
    before = {} if state is None else state.provided
    now = {each.name: each.directory for each in plan.provided}
    moved = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    words = {True: "the site provides it", False: "the site does not provide it any more"}
    return {
        name: replace(each, fresh=True, remark=words[name in now]) if state is not None and name in moved else each
        for name, each in want.items()
    }


def _with_repairs(
    want: Mapping[str, RequiredDistribution],
    have: Mapping[str, Distribution],
    site: Path,
    state: State | None,
    read: dict[str, Expected],
) -> dict[str, RequiredDistribution]:
    """What is wanted, and anew of it what is there and lost or changed a file since it was installed."""
    there = {name: each for name, each in have.items() if name in want and satisfies(each, want[name])}
    damaged = spoiled(site, there, NOTHING if state is None else state.unlike, read)
    return {
        name: replace(each, fresh=True, remark=damaged[name].text) if name in damaged else each
        for name, each in want.items()
    }


def _reason(plan: Plan, target: Target, options: Options, state: State | None, digest: str) -> str | None:
    """Why an environment with the right packages is not the right environment."""
    if state is None:
        return "its record is missing"
    if state.path != str(target.path):
        return f"it was made for {state.path}"
    if state.python != plan.python or not (target.path / "bin" / "python").exists():
        return "its Python is another one, or gone"
    if state.digest != digest:
        return f"it was made from another plan ({state.lockset})"
    missing = [check.id for check in plan.checks if check.needs is None and check.id not in state.checks]
    if options.checks and missing:
        return f"it was not checked ({', '.join(missing)})"
    return broken_interpreter(target.path)
