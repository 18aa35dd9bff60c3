"""Builds components in their order: from the cache where their result is there, else from source."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from verl_env.builds import environment
from verl_env.builds.cache import BuildCache
from verl_env.builds.errors import SourceUnavailableError
from verl_env.builds.sources import commit_of, fetch
from verl_env.builds.staleness import facts_to_record
from verl_env.builds.steps import build_prefix, build_wheel, linked, source_tree
from verl_env.builds.workshop import Workshop, opened, trim_logs
from verl_env.components.toolchain import needs_nvcc
from verl_env.environment.installed import site_packages
from verl_env.installers.classify import classify
from verl_env.installers.index import IndexUnavailableError
from verl_env.installers.process import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from verl_env.builds.cache import CacheEntry
    from verl_env.builds.model import Job
    from verl_env.builds.tools import Tools
    from verl_env.installers.base import Command, Source
    from verl_env.plans.reporter import Reporter

#: What a record says of a source that its name leaves open: the commit of a branch, the hash of an unhashed archive.
SOURCE = ("commit", "source_sha256")


class Builder:
    """Builds the jobs of a plan, each at most once.

    Args:
        tools: The installer, the interpreter of the environment, and what is to be built.
        source: Where build requirements and source distributions come from.
        reporter: Who is told.
        sites: Gives the directories with what is installed by then; torch of the lock is in the first.
        check: Raises where a wheel may not be put in force; such a wheel is not kept either.
    """

    def __init__(
        self,
        tools: Tools,
        source: Source,
        reporter: Reporter,
        *,
        sites: Callable[[], tuple[Path, ...]],
        check: Callable[[Job, Path], None],
    ) -> None:
        if tools.works is None:
            raise ValueError(tools)
        self._works = tools.works
        self._cache = BuildCache(tools.works.caches)
        self._tools = tools
        self._source = source
        self._reporter = reporter
        self._sites = sites
        self._check = check
        self._records: dict[str, Mapping[str, Any]] = {}

    def wheel(self, name: str) -> Path:
        """The wheel of a component, from the cache or built now.

        Raises:
            NativeBuildFailedError: it did not build.
            SourceUnavailableError: its source cannot be had.
            VerlEnvError: it may not be put in force, or an installer failed.
        """
        entry = self._result(self._works.job(name))
        self._records[name] = entry.record
        return entry.path

    def facts(self, name: str) -> dict[str, Any]:
        """What the wheel of a component is made from, as an environment remembers it; ``wheel`` gave it before."""
        facts, record = self._works.facts(self._works.job(name)), self._records[name]
        return facts_to_record(facts, self._works.host) | {each: record[each] for each in SOURCE if each in record}

    def _result(self, job: Job) -> CacheEntry:
        """The result of a job, whichever way; what it is built upon comes before it."""
        entry = self._take(job)
        if entry is not None:
            self._reporter.note(f"{job.name}: built before, from {entry.path.parent}{self._unasked(job)}")
            return entry
        for path, reason in self._works.refused.items():
            self._reporter.note(f"not taken: {path}, as {reason}")
        place = self._cache.place(job.build.name, self._works.facts(job))
        waiting = f"{job.name} is being built by another run; waiting for it"
        with self._cache.locked(place, lambda: self._reporter.note(waiting)):
            return self._take(job) or self._make(job)

    def _take(self, job: Job) -> CacheEntry | None:
        entry = self._works.ready(job)
        if entry is not None and job.recipe.product == "wheel":
            self._check(job, entry.path)
        return entry

    def _unasked(self, job: Job) -> str:
        """What is not known of a result whose source may have moved since."""
        entry = self._works.unasked.get(job.build.name)
        if entry is None:
            return ""
        commit, made = str(entry.record.get("commit", ""))[:12], entry.record.get("made")
        return f" (commit {commit}, built {made}; whether {job.recipe.source} has moved since could not be asked)"

    def _make(self, job: Job) -> CacheEntry:
        started = time.monotonic()
        with opened(self._works.host) as root:
            shop = Workshop(root, self._works.host, self._works.places, self._reporter, self._source)
            shop.log(job).unlink(missing_ok=True)
            self._reporter.note(f"{job.name}: {job.jobs} jobs{_for(job)}, log: {shop.log(job)}")
            for name in self._works.before(job):
                other = self._works.job(name)
                if other.recipe.product != "wheel":
                    shop.values[f"{other.recipe.product}:{name}"] = str(self._result(other).path)
            self._furnish(job, shop)
            self._equip(job)
            tree = source_tree(job, shop, lambda owner: fetch(self._works.job(owner), shop))
            facts = self._works.fetched(job, commit_of(tree))
            place = self._cache.place(job.build.name, facts)
            with linked(job, shop):
                if job.recipe.product != "wheel":
                    entry = self._make_tree(job, shop, (tree, place), facts, started)
                else:
                    wheel = build_wheel(job, shop, tree)
                    self._check(job, wheel)
                    entry = self._cache.put_wheel(wheel, job.build.name, facts, **_more(job, shop, tree, started))
        trim_logs(self._works.places)
        return entry

    def _make_tree(
        self, job: Job, shop: Workshop, places: tuple[Path, Path], facts: dict[str, Any], started: float
    ) -> CacheEntry:
        """Makes a directory in its final place, as what is built writes that down; whole once it is declared."""
        tree, place = places
        shutil.rmtree(place, ignore_errors=True)
        try:
            if job.recipe.product == "prefix":
                build_prefix(job, shop, tree, place / "prefix")
            else:
                shutil.copytree(tree, place / "source", symlinks=True)
            return self._cache.put_tree(place, job.recipe.product, facts, **_more(job, shop, tree, started))
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def _furnish(self, job: Job, shop: Workshop) -> None:
        """Makes the build environment of a job."""
        env = shop.root / "env"
        lock = self._works.lock
        by = (self._tools.installer, self._tools.interpreter)
        environment.make(env, [job], lock, by, self._source, self._run)
        sites = self._sites()
        shop.values["site"] = str(sites[0])
        if job.recipe.torch:
            environment.expose(env, sites, lock.python)
            places = (sites[0], site_packages(env, lock.python))
            shop.paths = environment.lock_paths(places, shop.room("libraries"))

    def _equip(self, job: Job) -> None:
        """Gets the compiler from the index, where the host has none that fits."""
        toolkit = self._works.toolkit
        if toolkit is None or not needs_nvcc(job.recipe):
            return
        try:
            toolkit.make(self._reporter.note, offline=self._source.offline)
        except IndexUnavailableError as error:
            raise SourceUnavailableError(job.name, toolkit.words, str(error)) from error

    def _run(self, command: Command) -> None:
        done = run(command)
        if done.code != 0:
            raise classify(self._tools.installer.name, command.argv, done.code, done.output)


def _for(job: Job) -> str:
    return f", for {job.targets}" if job.targets else ""


def _more(job: Job, shop: Workshop, tree: Path, started: float) -> dict[str, Any]:
    """What a record says beside the facts: when, for how long, and from which commit or file."""
    from datetime import datetime, timezone  # noqa: PLC0415

    more: dict[str, Any] = {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 1),
    }
    source = {"commit": commit_of(tree), "source_sha256": shop.hashes.get(job.build.name)}
    return more | {name: value for name, value in source.items() if value is not None}
