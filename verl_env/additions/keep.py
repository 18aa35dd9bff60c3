"""The additions of an environment while it is installed or repaired: what was recorded, and what is asked for now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.additions.arguments import parse_wish, wheels_only
from verl_env.additions.metadata import reachable, read_metadata
from verl_env.additions.model import ResolvedPackage, Wishes
from verl_env.additions.resolve import Base, resolve
from verl_env.additions.wanted import missing_wishes, recorded
from verl_env.environment.installed import installed, normalise, site_packages
from verl_env.environment.pins import address
from verl_env.environment.state import Extra
from verl_env.plans.plan import pins_of
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from verl_env.environment.installed import Distribution
    from verl_env.environment.metadata import Metadata
    from verl_env.installers.base import Installer
    from verl_env.installers.options import Options
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan


@record
class Additions:
    """What must be installed beside the lock, and what was asked for, by the name of the package that it is.

    ``builds`` are the names of those that may be built from source distributions.
    """

    found: tuple[ResolvedPackage, ...]
    wishes: Mapping[str, str]
    builds: Collection[str] = ()

    def extras(self, have: Mapping[str, Distribution], pins: Collection[str], python: str) -> tuple[Extra, ...]:
        """The record of them, from what is installed."""
        if not self.wishes:
            return ()
        names = reachable(read_metadata(have), self.wishes, python) - set(pins)
        found, wishes = {name: have[name] for name in sorted(names)}, self.wishes
        return tuple(
            Extra(name, one.version, one.origin, one.editable, wishes.get(name), builds=name in self.builds)
            for name, one in found.items()
        )


def plan_additions(
    plan: Plan,
    options: Options,
    seen: Inspection,
    installer: Installer,
    places: tuple[Path, Path],
    *,
    kept: Collection[str],
    left_out: Collection[str],
) -> Additions:
    """Decides what to install beside the lock.

    Under the plan that an environment was made from, what was recorded goes in again as it was, and no resolver is
    asked. Under another one everything that was asked for is resolved anew, under the new pins.

    Args:
        plan: The plan.
        options: From where.
        seen: What is there now.
        installer: Whose resolver is used.
        places: The new generation, which holds what is new of the lock, and a directory for files.
        kept: The packages that will be carried over.
        left_out: Native components that could not be had.

    Raises:
        PipWouldDriftError: a wish does not go with the pins.
        VerlEnvError: it cannot be had.
    """
    old = recorded(seen.state, plan)
    new = missing_wishes(plan, old)
    texts = {each.name: each.wish for each in old if each.wish is not None}
    builds = {each.name for each in old if each.builds}
    if seen.state is not None and seen.state.digest == seen.digest and not new:
        found = tuple(ResolvedPackage(each.name, each.version, each.origin, each.editable, each.builds) for each in old)
        return Additions(tuple(each for each in found if each.name not in kept), texts, builds)
    if not old and not new:
        return Additions((), {})
    generation, stage = places
    wishes = [parse_wish(text, stage, editable=_is_editable(name, old)) for name, text in texts.items()]
    wishes += [parse_wish(text, stage) for text in new]
    texts |= {wish.name: wish.text for wish in wishes if wish.name is not None}
    packages = _all_metadata(plan, seen, generation, kept)
    pins = {name: pin for name, pin in pins_of(plan, without=left_out).items() if name in packages}
    base = Base(generation, plan.python, plan.lockset.id, packages, pins)
    cached = ("--offline",) if options.offline and options.wheelhouse is None and installer.name == "uv" else ()
    limits = () if builds else wheels_only(wishes)
    asked = Wishes(tuple(wishes), (*limits, *source_options(options)), cached)
    found = resolve(asked, base, installer, stage).found
    texts |= {each.name: wish.text for wish in wishes for each in found if wish.names(each.origin)}
    return Additions(found, texts, builds)


def needless(additions: Additions, plan: Plan, seen: Inspection, generation: Path, kept: Collection[str]) -> set[str]:
    """The recorded additions that are not carried over: replaced, or required by nothing any more.

    Args:
        additions: What was decided, and is installed in the new generation.
        plan: The plan.
        seen: What is there now.
        generation: The new generation.
        kept: The packages that would be carried over.
    """
    names = {extra.name for extra in recorded(seen.state, plan)}
    if not names:
        return {each.name for each in additions.found}
    packages = _all_metadata(plan, seen, generation, kept) | _metadata(generation, plan.python)
    return (names - reachable(packages, additions.wishes, plan.python)) | {each.name for each in additions.found}


def component_extras(plan: Plan, have: Mapping[str, Distribution]) -> tuple[Extra, ...]:
    """The record of native components that were asked for beside the stack, so that a later run asks for them again."""
    wishes = {normalise(re.split(r"[^\w.-]", text.strip())[0]): text for text in plan.wishes}
    names = sorted({build.name for build in plan.natives} & wishes.keys() & have.keys())
    return tuple(Extra(name, have[name].version, wish=wishes[name]) for name in names)


def source_options(options: Options) -> tuple[str, ...]:
    """Where an installation takes files from, as options of an installer."""
    words = ["--no-index"] if options.offline and options.wheelhouse is not None else []
    words += [] if options.wheelhouse is None else ["--find-links", address(options.wheelhouse.absolute())]
    return tuple(words)


def _metadata(environment: Path | None, python: str) -> dict[str, Metadata]:
    return {} if environment is None else read_metadata(installed(site_packages(environment, python)))


def _all_metadata(plan: Plan, seen: Inspection, generation: Path, kept: Collection[str]) -> dict[str, Metadata]:
    """The metadata of what is installed in a new generation, and of what will be carried over into it."""
    before = _metadata(seen.environment, plan.python)
    packages = {name: package for name, package in before.items() if name in kept}
    return _metadata(generation, plan.python) | packages


def _is_editable(name: str, extras: Collection[Extra]) -> bool:
    return any(extra.editable for extra in extras if extra.name == name)
