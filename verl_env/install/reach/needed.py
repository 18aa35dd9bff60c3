"""The addresses that a plan needs: of what is to be fetched, and is neither in the environment nor at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.additions.wanted import missing_wishes, recorded
from verl_env.install.reach.reach import PACKAGES
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.choose.model import Build
    from verl_env.installers.options import Options
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan


def natives_needed(plan: Plan, options: Options, seen: Inspection) -> dict[str, str]:
    """The native components whose file must come from somewhere, with its address."""
    sources = frozenset(_sources(plan, options, seen))
    return {
        build.name: build.address
        for build in plan.natives
        if _is_fetched(build, options, seen) or build.name in sources
    }


def index_needed(plan: Plan, options: Options, seen: Inspection, installer: str) -> str | None:
    """The address of a package that the index must give; None where no index is asked, or another place has files."""
    if options.offline or options.wheelhouse is not None:
        return None
    added = {change.name for change in seen.changes if change.kind != "-"}
    names = [package.name for package in plan.packages if package.name in added and package.url is None]
    return f"{PACKAGES}{installer}:{names[0]}" if names else None


def wishes_needed(plan: Plan, seen: Inspection, installer: str) -> dict[str, str]:
    """The addresses, by name, of what is asked for beside the lock and the index must give."""
    if not plan.extras:
        return {}
    from packaging.requirements import Requirement  # noqa: PLC0415 (few plans have wishes)

    asked = map(Requirement, missing_wishes(plan, recorded(seen.state, plan)))
    return {each.name: f"{PACKAGES}{installer}:{each.name}" for each in asked if each.url is None}


def is_here(address: str, options: Options) -> bool:
    """Whether a published wheel, or the archive of a source, is in the wheelhouse or the cache."""
    name = address.partition("#")[0].partition("?")[0].rsplit("/", 1)[-1].replace("%2B", "+")
    if not name or "://" not in address or address.startswith("git+"):
        return False
    return _is_at_hand(address, name, options)


def offline_reason(build: Build, options: Options) -> str:
    """Why a file that is not at hand cannot be had where no network may be used."""
    what = build.wheel.file if build.wheel is not None else f"the source of {build.name}"
    places = "the cache" if options.wheelhouse is None else f"{options.wheelhouse} or the cache"
    return f"offline, and {what} is not in {places}"


def _is_fetched(build: Build, options: Options, seen: Inspection) -> bool:
    if build.how != "prebuilt" or build.wheel is None or build.name in seen.in_place:
        return False
    return not _is_at_hand(build.wheel.url, build.wheel.file, options)


def _is_at_hand(address: str, name: str, options: Options) -> bool:
    from verl_env.wheels.fetch import places_of  # noqa: PLC0415 (what has nothing to do fetches nothing)

    return any(path is not None and path.is_file() for path in places_of(address, name, options))


def _sources(plan: Plan, options: Options, seen: Inspection) -> Iterator[str]:
    """The components of which neither a result nor the source is kept; nobody is asked where a source has moved to."""
    if all(build.how != "build" for build in plan.natives):
        return
    from verl_env.builds.build_plan import build_plan_of  # noqa: PLC0415
    from verl_env.builds.sources import is_cached  # noqa: PLC0415 (few environments need a build)

    works = build_plan_of(plan, options)
    if works is None:
        return
    works = replace(works, offline=True)
    for job in works.missing(seen.in_place):
        if not is_cached(job, works.places):
            yield job.build.name
