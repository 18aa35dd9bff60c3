"""What the native components of an environment were made from, held against what a plan would make them from now.

An environment can hold every version that a plan asks for and still be the wrong one: an extension that was compiled
for other GPUs, for another torch, or with other settings has the same name and version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.builds.targets import gpu_targets, written
from verl_env.plans.compare import as_taken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from verl_env.builds.model import BuildHost, Job
    from verl_env.choose.model import Build
    from verl_env.components.model import Recipe
    from verl_env.environment.state import State
    from verl_env.machine.model import Machine
    from verl_env.plans.model import Plan

#: The facts of a result that decide whether it is the one that is wanted. What it was compiled with (gcc, glibc,
#: build requirements) is not among them: it makes another result, and none that is wrong.
DECIDING = ("version", "source", "patches", "python", "torch", "cuda", "rocm", "env", "settings", "commands", "lock")


def facts_to_record(facts: Mapping[str, Any], host: BuildHost) -> dict[str, Any]:
    """What an environment remembers of a result: its facts, and the GPUs that were asked for.

    nvcc may know fewer of them than were asked for, so that ``targets`` names fewer.
    """
    return {name: facts.get(name) for name in (*DECIDING, "targets")} | {"gpus": list(host.targets)}


def stale_builds(plan: Plan, state: State | None, machine: Machine | None) -> dict[str, str]:
    """The native components of an environment that must be made anew though their versions agree, each with the reason.

    What is not recorded of a component is no reason.

    Args:
        plan: What is wanted.
        state: The record of the environment.
        machine: What is installed for.
    """
    if state is None:
        return {}
    found = {}
    for choice in plan.natives:
        reason = _other_way(choice, state) or _other_facts(as_taken(choice, state.ways), plan, state, machine)
        if reason is not None:
            found[choice.name] = reason
    return found


def _other_way(choice: Build, state: State) -> str | None:
    way = state.ways.get(choice.name)
    if way is None or choice.how == "skip" or way in {choice.way, *(other.way for other in choice.others)}:
        return None
    return f"it was {way}"


def _other_facts(choice: Build, plan: Plan, state: State, machine: Machine | None) -> str | None:
    before = state.facts.get(choice.name)
    if before is None or choice.how != "build" or choice.recipe is None:
        return None
    now = _facts_now(choice, choice.recipe, plan)
    other = next((name for name in DECIDING if before.get(name) != now[name]), None)
    if other is not None:
        return f"it was built with {other} {before.get(other)}, which is {now[other]} now"
    lacking = _lacking(choice.recipe, gpu_targets(machine, plan.lockset.accelerator), before, machine)
    return f"it was built for {before['targets'] or 'no GPU'}, not for {', '.join(lacking)}" if lacking else None


def _facts_now(choice: Build, recipe: Recipe, plan: Plan) -> dict[str, Any]:
    """The deciding facts of a build, as they come back from a file."""
    import json  # noqa: PLC0415 (few environments hold what was built)

    from verl_env.builds.facts import lock_of  # noqa: PLC0415
    from verl_env.builds.key import facts_of  # noqa: PLC0415
    from verl_env.builds.model import BuildHost, Job  # noqa: PLC0415
    from verl_env.components.load import load_catalogue  # noqa: PLC0415
    from verl_env.machine.model import Toolchain  # noqa: PLC0415

    job: Job = Job(choice, recipe, jobs=1, targets=None)
    nowhere = BuildHost(Toolchain(), cpus=1, memory=None, glibc=None, targets=(), environ={})
    facts = facts_of(job, lock_of(plan, None), nowhere, catalogue=load_catalogue())
    found: dict[str, Any] = json.loads(json.dumps({name: facts.get(name) for name in DECIDING}))
    return found


def _lacking(
    recipe: Recipe, gpus: Sequence[str], before: Mapping[str, Any], machine: Machine | None
) -> tuple[str, ...]:
    """The GPUs that a result has no code for, but could have."""
    if recipe.arch_variable is None:
        return ()
    there = (before["targets"] or "").split(";")
    lacking = tuple(gpu for gpu in gpus if written((gpu,), recipe) not in there)
    nvcc = getattr(None if machine is None else machine.toolchain, "nvcc", None)
    if not lacking or not isinstance(nvcc, str) or recipe.arch_style == "gfx":
        return tuple(gpu for gpu in lacking if gpu not in before["gpus"])
    from verl_env.components.load import load_catalogue  # noqa: PLC0415
    from verl_env.components.toolchain import nvcc_targets  # noqa: PLC0415

    return nvcc_targets(load_catalogue(), nvcc, lacking)
