"""What would be built, shown before anything is: how, for what, for how long, and what stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.builds.jobs import job_memory
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Container

    from verl_env.builds.build_plan import BuildPlan
    from verl_env.builds.model import BuildProblem, Job

#: The number of CPUs that the catalogue states times for.
_MEASURED_ON = 16


@record
class BuildOutline:
    """One component that would be built.

    Attributes:
        name: The component.
        version: Its version.
        source: Where its source is from.
        ready: Whether its result is in the cache, so that nothing is compiled.
        jobs: Compiler jobs side by side.
        targets: GPU targets as the build gets them; None where there is nothing to choose.
        job_bytes: Memory of one job, in bytes.
        minutes: How long it takes with these jobs, roughly; None where nobody has measured.
        needs: Tools, headers and libraries.
    """

    name: str
    version: str
    source: str
    ready: bool
    jobs: int
    targets: str | None
    job_bytes: int
    minutes: int | None
    needs: tuple[str, ...]


def outline(works: BuildPlan, without: Container[str]) -> tuple[tuple[BuildOutline, ...], tuple[BuildProblem, ...]]:
    """Every build in its order, those that others are built upon among them, and every problem.

    Args:
        works: What is to be built.
        without: What is in the environment already.
    """
    missing = works.missing(without)
    names = {job.build.name for job in missing}
    ready = [works.job(name) for name in works.builds if name not in names and name not in without]
    shown = [*(_one(job, works, ready=False) for job in missing), *(_one(job, works, ready=True) for job in ready)]
    return tuple(shown), works.problems(missing)


def _one(job: Job, works: BuildPlan, *, ready: bool) -> BuildOutline:
    recipe = job.recipe
    minutes = None if recipe.minutes is None else max(1, round(recipe.minutes * _MEASURED_ON / job.jobs))
    return BuildOutline(
        job.build.name,
        job.build.version,
        recipe.source,
        ready,
        job.jobs,
        job.targets,
        job_memory(recipe, works.host.environ, len((job.targets or "").split(";"))),
        minutes,
        (*(_tool(tool.name, works) for tool in recipe.tools), *(file.name for file in recipe.files)),
    )


def _tool(name: str, works: BuildPlan) -> str:
    return works.toolkit.words if name == "nvcc" and works.toolkit is not None else name
