"""Builds from source, before they begin: as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.records import as_dict
from verl_env.sizes import human

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rich.console import Console

    from verl_env.builds.model import BuildProblem
    from verl_env.builds.outline import BuildOutline


def builds(console: Console, outlines: Sequence[BuildOutline], problems: Sequence[BuildProblem]) -> None:
    """What would be built, and everything that keeps it from that."""
    for each in outlines:
        console.print(f"build {each.name} {each.version}: {_how(each)}", markup=False, highlight=False)
    for problem in problems:
        console.print(f"problem: {problem.message} [{problem.id}]", style="red", markup=False, highlight=False)
        console.print(f"         {problem.hint}", style="dim", markup=False, highlight=False)


def builds_json(outlines: Sequence[BuildOutline], problems: Sequence[BuildProblem]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "builds": [as_dict(each) for each in outlines],
        "build_problems": [as_dict(problem) for problem in problems],
    }


def _how(each: BuildOutline) -> str:
    """A build in one line."""
    if each.ready:
        return "built before, taken from the cache"
    parts = [f"from {each.source}", f"{each.jobs} {'job' if each.jobs == 1 else 'jobs'} of {human(each.job_bytes)}"]
    parts += [f"for {each.targets}"] if each.targets else []
    parts += [f"about {each.minutes} min"] if each.minutes is not None else []
    parts += [f"needs {', '.join(each.needs)}"] if each.needs else []
    return "; ".join(parts)
