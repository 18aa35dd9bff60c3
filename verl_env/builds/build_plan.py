"""The jobs of a plan: what is to be built, in which order, with what, and what is wrong with that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from verl_env.builds.cache import BuildCache, key_of
from verl_env.builds.facts import host_of, lock_of
from verl_env.builds.jobs import job_count
from verl_env.builds.key import TOOLS, facts_of, missing_tools
from verl_env.builds.model import BuildProblem, Job, Places
from verl_env.builds.preflight import preflight
from verl_env.builds.revisions import moves, newest_commit
from verl_env.builds.targets import written
from verl_env.builds.toolkit import toolkit_of, with_toolkit
from verl_env.choose.model import Build
from verl_env.components.toolchain import needs_nvcc, nvcc_targets

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from pathlib import Path

    from verl_env.builds.cache import CacheEntry
    from verl_env.builds.model import BuildHost, Lock
    from verl_env.builds.toolkit import IndexToolkit
    from verl_env.components.model import Catalogue, Recipe
    from verl_env.installers.options import Options
    from verl_env.plans.model import Plan

#: The directory of a wheelhouse with results of builds, laid out as the cache is.
BUNDLED = "built"


@dataclass(slots=True)
class BuildPlan:
    """What is to be built of a plan.

    ``builds`` are its components that are built, by name; ``caches`` the directories of results, best first;
    ``bundled`` one that came with a wheelhouse: what is in it was made for this host, by whatever compiler.
    """

    builds: dict[str, Build]
    lock: Lock
    host: BuildHost
    catalogue: Catalogue
    places: Places
    caches: tuple[Path, ...]
    offline: bool = False
    bundled: Path | None = None
    #: The compiler from the index, where the host has none that fits.
    toolkit: IndexToolkit | None = None
    #: The results that were taken for sources which nobody could be asked about.
    unasked: dict[str, CacheEntry] = field(default_factory=dict)
    #: Results that would do and were not taken, as nobody trusted made them, with the reason.
    refused: dict[Path, str] = field(default_factory=dict)
    _jobs: dict[str, Job] = field(default_factory=dict)
    _commits: dict[str, str | None] = field(default_factory=dict)

    def job(self, name: str) -> Job:
        """How a component is built; one that only others need is taken from the catalogue.

        Raises:
            KeyError: nobody knows how.
        """
        if name not in self._jobs:
            build = self.builds.get(name) or self._of_catalogue(name)
            if build.recipe is None:
                raise KeyError(name)
            targets = self._targets(build.recipe)
            jobs = job_count(
                build.recipe,
                cpus=self.host.cpus,
                memory=self.host.memory,
                environ=self.host.environ,
                targets=max(1, len(targets)),
            )
            stated = None if build.recipe.arch_variable is None else written(targets, build.recipe)
            self._jobs[name] = Job(build, build.recipe, jobs, stated)
        return self._jobs[name]

    def before(self, job: Job) -> tuple[str, ...]:
        """The components that a job is built upon and that are built too."""
        return tuple(name for name in job.recipe.after if name in self.builds or self._is_known(name))

    def facts(self, job: Job) -> dict[str, Any]:
        """What the result of a job is kept by; of a source that moves, the commit that it is at among it."""
        after = {name: key_of(self.facts(self.job(name))) for name in self.before(job)}
        facts = facts_of(job, self.lock, self.host, catalogue=self.catalogue, after=after)
        if not moves(job.recipe.source):
            return facts
        if job.build.name not in self._commits:
            self._commits[job.build.name] = self._commit(job, facts)
        return facts | {"commit": self._commits[job.build.name]}

    def fetched(self, job: Job, commit: str | None) -> dict[str, Any]:
        """The facts of a job whose source was just fetched, which may have moved since anybody asked."""
        if moves(job.recipe.source):
            self._commits[job.build.name] = commit
        return self.facts(job)

    def ready(self, job: Job) -> CacheEntry | None:
        """The result of a job that is there already."""
        return self._take(job.build.name, self.facts(job))

    def missing(self, without: Container[str] = ()) -> tuple[Job, ...]:
        """The jobs whose results are not in the cache, in their order; ``without`` are in the environment already."""
        found: dict[str, Job] = {}

        def add(name: str) -> None:
            job = self.job(name)
            if name in found or self.ready(job) is not None:
                return
            for other in self.before(job):
                if self.job(other).recipe.product != "wheel":
                    add(other)
            found[name] = job

        for name, build in self.builds.items():
            if name not in without and build.recipe is not None and build.recipe.product == "wheel":
                add(name)
        return tuple(found.values())

    def problems(self, jobs: Sequence[Job]) -> tuple[BuildProblem, ...]:
        """Everything that would make some jobs fail."""
        found = preflight(jobs, self.host, self.lock, self.places, catalogue=self.catalogue, offline=self.offline)
        return (*found, *self._of_toolkit(jobs))

    def _of_toolkit(self, jobs: Sequence[Job]) -> Iterator[BuildProblem]:
        """Whether the compiler from the index can be had."""
        toolkit = self.toolkit
        names = [job.name for job in jobs if needs_nvcc(job.recipe)]
        if toolkit is not None and names and self.offline and not toolkit.at_hand:
            message = f"offline, and {toolkit.words}, which {', '.join(names)} would be built with, is not in the cache"
            hint = f"put its wheels into a directory: --wheelhouse DIR ({', '.join(toolkit.row.files)})"
            yield BuildProblem("nvcc-offline", "", message, hint)

    def _take(self, name: str, facts: dict[str, Any], *, without: tuple[str, ...] = ()) -> CacheEntry | None:
        cache = BuildCache(self.caches)
        entry = cache.take(name, facts, without=(*missing_tools(self.host), *without))
        self.refused.update(cache.refused)
        if entry is None and self.bundled is not None:
            more = (*TOOLS, "glibc", "flags", "after", *without)
            entry = BuildCache((self.bundled,), vouched=True).take(name, facts, without=more)
        return entry

    def _commit(self, job: Job, facts: dict[str, Any]) -> str | None:
        """The commit that a source is at; where nobody says, that of the last result of it."""
        commit = None if self.offline else newest_commit(job.recipe.source, self.host.environ)
        if commit is not None:
            return commit
        entry = self._take(job.build.name, facts, without=("commit",))
        if entry is None:
            return None
        self.unasked[job.build.name] = entry
        kept: str | None = entry.record["facts"].get("commit")
        return kept

    def _targets(self, recipe: Recipe) -> tuple[str, ...]:
        """The GPU targets that are compiled for: those that nvcc and the sources know."""
        if recipe.arch_variable is None or recipe.arch_style == "gfx":
            return self.host.targets if recipe.arch_variable else ()
        nvcc = self.host.toolchain.nvcc
        return nvcc_targets(self.catalogue, nvcc, self.host.targets) if isinstance(nvcc, str) else self.host.targets

    def _of_catalogue(self, name: str) -> Build:
        release = self.catalogue.components[name].releases[0]
        reason = "other components are built upon it"
        return Build(name, release.version, "build", reason, recipe=next(iter(release.recipes), None))

    def _is_known(self, name: str) -> bool:
        """Whether the catalogue knows a component that is no wheel: a wheel is the plan's to decide."""
        component = self.catalogue.components.get(name)
        recipes = component.releases[0].recipes if component is not None and component.releases else ()
        return any(recipe.product != "wheel" for recipe in recipes)


def build_plan_of(plan: Plan, options: Options, interpreter: str | None = None) -> BuildPlan | None:
    """What is to be built of a plan; None where nothing is.

    Args:
        plan: The plan.
        options: Where results are kept, and the machine that is installed for.
        interpreter: The Python that the environment is made from, where that is known.
    """
    builds = {build.name: build for build in plan.natives if build.how == "build" and build.recipe is not None}
    if not builds:
        return None
    import os  # noqa: PLC0415

    from verl_env.components.load import load_catalogue  # noqa: PLC0415

    own = options.cache / "built"
    caches = tuple(dict.fromkeys((options.build_cache or own, own)))
    lock, catalogue = lock_of(plan, interpreter), load_catalogue()
    host = host_of(options.machine, plan.lockset.accelerator, os.environ)
    toolkit = toolkit_of(builds.values(), host.toolchain.nvcc, lock, catalogue, (caches, options.wheelhouse))
    return BuildPlan(
        builds,
        lock,
        with_toolkit(host, toolkit),
        catalogue,
        Places(options.cache, options.wheelhouse),
        caches,
        options.offline,
        None if options.wheelhouse is None else options.wheelhouse / BUNDLED,
        toolkit,
    )
