"""Everything that can be found wrong before anything is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.builds.tools import Tools
from verl_env.environment.errors import FILE_SYSTEM, DiskFullError
from verl_env.environment.files import hard_links_work
from verl_env.install.disk import check_room, free_room
from verl_env.install.errors import ArchitectureMismatchError, WheelhouseInvalidError
from verl_env.install.houses import check_wheelhouse
from verl_env.install.interpreter import find_interpreter
from verl_env.install.verl_source import check_verl_source
from verl_env.installers.choice import choose_installer
from verl_env.installers.failures import InstallerMissingError, InstallerSilentError
from verl_env.plans.model import Cost
from verl_env.plans.sizes import cost
from verl_env.records import record
from verl_env.sizes import human

if TYPE_CHECKING:
    from verl_env.builds.build_plan import BuildPlan
    from verl_env.environment.target import Target
    from verl_env.errors import VerlEnvError
    from verl_env.install.disk import Free
    from verl_env.installers.base import Installer
    from verl_env.installers.options import Options
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan


@record
class PreparedPlace:
    """What an environment finds at its place: the room, the installer's cache, and whether files are linked from it."""

    place: Path
    free: Free
    installer: str
    cache: Path | None
    linked: bool

    @property
    def text(self) -> str:
        """The room and the way of the files in one line."""
        files = "" if self.free.files is None else f" and {self.free.files:,} files"
        by = "" if self.free.bytes_by == FILE_SYSTEM else f" ({self.free.bytes_by})"
        if self.cache is None:
            how = f"{self.installer} keeps no cache"
        elif self.linked:
            how = f"files are linked out of the cache {self.cache}"
        else:
            how = f"files are copied out of the cache {self.cache}"
            how += " (uv links where UV_CACHE_DIR is on the same file system)" if self.installer == "uv" else ""
        return f"{human(self.free.bytes)}{files} free{by}; {how}"


def prepare(plan: Plan, target: Target, options: Options, seen: Inspection) -> Tools:
    """The tools for a plan.

    Raises:
        ArchitectureMismatchError: the plan is for another kind of machine.
        WheelhouseInvalidError: there is no such wheelhouse, or none was given where one is needed.
        VerlSourceInvalidError: the checkout of verl is none.
        InstallerMissingError: the installer is not there, or too old.
        InterpreterMissingError: the Python is not there.
        DiskFullError: there is not enough room.
        BuildImpossibleError: a component is to be built, and this host cannot build it.
    """
    host = os.uname().machine
    if plan.arch != host:
        raise ArchitectureMismatchError(plan.arch, host)
    if options.wheelhouse is not None:
        check_wheelhouse(options.wheelhouse)
    if plan.verl_source is not None:
        check_verl_source(Path(plan.verl_source))
    installer = choose_installer(options.installer)
    if installer.name == "pip" and options.offline and options.wheelhouse is None:
        raise WheelhouseInvalidError(None)
    interpreter = find_interpreter(plan.python, plan.interpreter)
    _check_room(plan, target, seen, installer)
    return Tools(installer, interpreter, checked_works(plan, options, seen, interpreter))


def foreseen(plan: Plan, target: Target, options: Options, seen: Inspection) -> tuple[VerlEnvError, ...]:
    """What would stop an installation on this host for want of an installer or of room: for a dry run.

    Nothing is foreseen of a plan for another kind of machine, or where there is nothing to do.
    """
    if seen.complete or plan.arch != os.uname().machine:
        return ()
    try:
        _check_room(plan, target, seen, choose_installer(options.installer))
    except (InstallerMissingError, InstallerSilentError, DiskFullError) as error:
        return (error,)
    return ()


def room_of(target: Target, options: Options) -> PreparedPlace | None:
    """Where an installation would be put and from which cache; None where no installer is here."""
    place = target.path.parent
    try:
        installer = choose_installer(options.installer)
    except (InstallerMissingError, InstallerSilentError):
        return None
    cache = installer.cache_for(place)
    return PreparedPlace(place, free_room(place), installer.name, cache.path, linked=cache.linked)


def checked_works(plan: Plan, options: Options, seen: Inspection, interpreter: str) -> BuildPlan | None:
    """What is to be built, once it is certain that nothing known keeps it from that; None where nothing is.

    Raises:
        BuildImpossibleError: something does.
    """
    if all(choice.how != "build" for choice in plan.natives):
        return None
    from verl_env.builds.build_plan import build_plan_of  # noqa: PLC0415
    from verl_env.builds.errors import BuildImpossibleError  # noqa: PLC0415 (few environments need a build)

    works = build_plan_of(plan, options, interpreter)
    problems = () if works is None else works.problems(works.missing(seen.in_place))
    if problems:
        raise BuildImpossibleError(problems)
    return works


def _check_room(plan: Plan, target: Target, seen: Inspection, installer: Installer) -> None:
    """Whether what must be added fits; what is kept takes no new room where it can be linked."""
    place = target.path.parent
    cache = installer.cache_for(place)
    added = {change.name for change in seen.changes if change.kind != "-"}
    size = cost(package for package in plan.packages if package.name in added)
    through = size if installer.name == "uv" else Cost(0, size.download_bytes)
    check_room(place, size, cache=cache.path, cached=through, linked=cache.linked)
    if seen.environment is not None and not hard_links_work(seen.environment, place):
        kept = cost(package for package in plan.packages if package.name not in added)
        check_room(place, kept, cache=None, cached=Cost(0, 0), linked=False)
