"""Native components in a bundle: their published wheels, results of builds, or sources with what builds require."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.builds.build_plan import build_plan_of
from verl_env.builds.environment import constraints_of, requirements
from verl_env.builds.revisions import answers
from verl_env.builds.sources import carried_name, is_cached, origin_of
from verl_env.bundle.errors import BundleFileUnavailableError
from verl_env.bundle.lookup import BundleRequirement
from verl_env.bundle.model import WHEELS, NativeWay
from verl_env.bundle.resolve import resolve
from verl_env.components.toolchain import needs_nvcc
from verl_env.installers.index import pinned
from verl_env.locksets.web import WebError, open_url
from verl_env.records import record, replace
from verl_env.settings.mirrors import both, mirrored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.builds.build_plan import BuildPlan
    from verl_env.builds.model import BuildHost, Job, Places
    from verl_env.bundle.model import Role
    from verl_env.choose.model import Build
    from verl_env.installers.options import Options
    from verl_env.locksets.target import LockTarget
    from verl_env.plans.model import Plan

#: Seconds that a server gets to say whether it has a file.
_SECONDS = 20.0
_REFUSES_HEAD = frozenset({403, 405, 501})


@record
class Checkout:
    """A source that is cloned into a bundle: ``path`` is its file there."""

    path: str
    job: Job
    host: BuildHost
    places: Places


@record
class Carried:
    """What a bundle carries of one native component.

    ``built`` are directories of results of builds, each with its place below that of the wheelhouse's ``built``;
    ``checkouts`` sources that are commits of a repository.
    """

    way: NativeWay
    wanted: tuple[BundleRequirement, ...] = ()
    built: tuple[tuple[str, Path], ...] = ()
    checkouts: tuple[Checkout, ...] = ()


def carry_natives(plan: Plan, options: Options, target: LockTarget) -> tuple[Carried, ...]:
    """What is carried of each native component of a plan: by the first way that can be.

    Where none can, the component is left out of the bundle, and the reason is in its way.

    Raises:
        BundleFileUnavailableError: one that was asked for cannot be carried.
    """
    carried = [_carry(choice, plan, options, target) for choice in plan.natives]
    return tuple(_with_parts(each, choice, carried) for each, choice in zip(carried, plan.natives, strict=True))


def _with_parts(carried: Carried, choice: Build, every: Sequence[Carried]) -> Carried:
    """What is carried of a component, unless a part that it is of no use without is not."""
    taken = carried.way.how == "prebuilt" and choice.wheel is not None and carried.way.detail == choice.wheel.file
    gone = next((each.way for each in every if each.way.name in choice.after and each.way.how == "skip"), None)
    if not taken or gone is None:
        return carried
    return Carried(NativeWay(choice.name, choice.version, "skip", f"{gone.name} is left out: {gone.detail}"))


def _carry(choice: Build, plan: Plan, options: Options, target: LockTarget) -> Carried:
    if choice.how == "skip":
        return Carried(NativeWay(choice.name, choice.version, "skip", choice.reason))
    reasons = []
    for way in (choice, *choice.others):
        try:
            return _by(way, plan, options, target)
        except BundleFileUnavailableError as error:  # noqa: PERF203 (few ways)
            reasons.append(error.message)
    reason = "; ".join(reasons)
    if choice.required:
        raise BundleFileUnavailableError(f"{choice.name} {choice.version}", reason)
    return Carried(NativeWay(choice.name, choice.version, "skip", reason))


def _by(way: Build, plan: Plan, options: Options, target: LockTarget) -> Carried:
    if way.wheel is not None:
        hashes = frozenset({f"sha256:{way.wheel.sha256}"}) if way.wheel.sha256 else None
        if way.wheel.on_index:
            wanted = _of_index(way.wheel.file, hashes, "native", target)
            return Carried(NativeWay(way.name, way.version, "prebuilt", way.wheel.file), (wanted,))
        size = _size(way.wheel.url)
        wanted = BundleRequirement(way.name, way.version, "native", target, hashes, size, way.wheel.url)
        return Carried(NativeWay(way.name, way.version, "prebuilt", way.wheel.file), (wanted,))
    return _build(way, plan, options, target)


def _build(way: Build, plan: Plan, options: Options, target: LockTarget) -> Carried:
    """The result of a build where there is one, else the sources of everything that it is built from."""
    natives = tuple(way if each.name == way.name else each for each in plan.natives)
    works = build_plan_of(replace(plan, natives=natives), options)
    if works is None or way.recipe is None:
        raise BundleFileUnavailableError(f"{way.name} {way.version}", "nobody knows how it is built")
    job = works.job(way.name)
    entry = works.ready(job)
    if entry is not None:
        folder = entry.path.parent
        place = f"{folder.parent.name}/{folder.name}"
        return Carried(NativeWay(way.name, way.version, "built", entry.path.name), built=((place, folder),))
    jobs = [job, *(works.job(name) for name in _upon(job, works))]
    checkouts = tuple(_checkout(each, works) for each in jobs if origin_of(each.recipe.source).kind == "git")
    wanted = [_source(each, target) for each in jobs if origin_of(each.recipe.source).kind != "git"]
    lines = list(dict.fromkeys(line for each in jobs for line in requirements([each], works.lock)))
    wanted += resolve(lines, constraints_of(lines, works.lock), target, "build")
    if works.toolkit is not None and any(needs_nvcc(each.recipe) for each in jobs):
        files = works.toolkit.row.files.items()
        wanted += [_of_index(file, frozenset({f"sha256:{digest}"}), "build", target) for file, digest in files]
    return Carried(NativeWay(way.name, way.version, "build", way.recipe.source), tuple(wanted), checkouts=checkouts)


def _of_index(file: str, hashes: frozenset[str] | None, role: Role, target: LockTarget) -> BundleRequirement:
    """A wheel that the index has, by its name and digest."""
    name, _, version = pinned(file).partition("==")
    return BundleRequirement(name, version, role, target, hashes)


def _upon(job: Job, works: BuildPlan) -> list[str]:
    """The components that a job is built upon, all the way down."""
    found: dict[str, None] = {}
    todo = list(works.before(job))
    while todo:
        name = todo.pop()
        if name not in found and name != job.build.name:
            found[name] = None
            todo += works.before(works.job(name))
    return list(found)


def _source(job: Job, target: LockTarget) -> BundleRequirement:
    origin, build = origin_of(job.recipe.source), job.build
    hashes = frozenset({f"sha256:{job.recipe.sha256}"}) if job.recipe.sha256 else None
    if origin.kind == "sdist":
        return BundleRequirement(build.name, build.version, "source", target, hashes, sdist=True)
    return BundleRequirement(build.name, build.version, "source", target, hashes, _size(origin.url), origin.url)


def _checkout(job: Job, works: BuildPlan) -> Checkout:
    """The checkout of a job, once it is certain that its repository answers or that it was cloned before."""
    places = replace(works.places, wheelhouse=None)
    if not is_cached(job, places) and not answers(job.recipe.source, works.host.environ):
        raise BundleFileUnavailableError(job.name, f"its repository cannot be reached ({job.recipe.source})")
    return Checkout(f"{WHEELS}/{carried_name(job, places)}", job, works.host, places)


def _size(url: str) -> int:
    """The size of a file at an address in bytes, 0 where the server does not say.

    Raises:
        BundleFileUnavailableError: the server cannot be reached, or does not have it.
    """
    address = mirrored(url)
    try:
        with open_url(address, timeout=_SECONDS, method="HEAD") as answer:
            return answer.length or 0
    except WebError as error:
        if error.status in _REFUSES_HEAD:
            return 0
        raise BundleFileUnavailableError(both(url, address), str(error)) from error
