"""Wheels of native components that are given by a path or an address: looked into before they are installed.

The resolver of native components is not asked for them: who names a file has decided. What cannot work is refused all
the same, and what is of another version than the lockset has is a pin that moves.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from verl_env.additions.errors import GivenUnfitError, PipWouldDriftError
from verl_env.additions.model import Cause, ExtraRequirement, ResolvedAdditions, ResolvedPackage
from verl_env.builds.targets import gpu_targets
from verl_env.choose.model import Build
from verl_env.components.load import load_catalogue as load_components
from verl_env.environment.history import Change
from verl_env.environment.installed import normalise, same_version, site_packages
from verl_env.locksets.catalogue import load_catalogue
from verl_env.records import replace
from verl_env.wheels.errors import NativeMismatchError
from verl_env.wheels.fetch import download
from verl_env.wheels.identity import is_release, read_identity
from verl_env.wheels.stage import stage_wheel
from verl_env.wheels.validation import Site, validate_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from verl_env.additions.environment import Opened
    from verl_env.additions.model import Wishes
    from verl_env.components.model import Component
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Machine
    from verl_env.plans.reporter import Reporter


def check_given(
    resolution: ResolvedAdditions,
    opened: Opened,
    wishes: Wishes,
    stage: Path,
    reporter: Reporter,
    machine: Callable[[], Machine],
) -> ResolvedAdditions:
    """Makes sure that the wheels of components that were named themselves fit; the versions that move are added.

    Args:
        resolution: What would be installed.
        opened: The environment.
        wishes: What was asked for.
        stage: A directory for downloads.
        reporter: Who is told of them.
        machine: Gives the machine; asked only where there is such a wheel.

    Raises:
        GivenUnfitError: one cannot work here.
        PipWouldDriftError: one is of another version than the lockset's, and that was not allowed.
        AddressUnavailableError: one cannot be fetched.
        DownloadInterruptedError: as above.
    """
    known = load_components().components
    given = [each for each in resolution.found if each.name in known and _is_wheel(each)]
    if not given:
        return resolution
    lockset = next((each for each in load_catalogue() if each.id == opened.state.lockset), None)
    landed = []
    with _site(opened, lockset, machine()) as place:
        for each in given:
            wheel = _file(each, stage, reporter)
            build = _build(each, wheel, known[each.name])
            try:
                validate_wheel(wheel, build, place)
            except NativeMismatchError as error:
                raise GivenUnfitError(error.name, error.version, error.wheel, error.faults) from error
            validated(stage).mkdir(exist_ok=True)
            stage_wheel(wheel, validated(stage))
            landed.append(replace(each, version=build.version))
    moved = tuple(change for each in landed for change in _moved(each, lockset, resolution))
    if moved and not wishes.allow_drift:
        causes = [Cause(each.name, each.old or "", "your command", f"{each.name} {each.new}") for each in moved]
        raise PipWouldDriftError("install", wishes.texts, opened.state.lockset, causes, moved)
    return replace(resolution, moved=(*resolution.moved, *moved))


def validated(stage: Path) -> Path:
    """Where the wheels lie that were found to fit."""
    return stage / "validated"


def as_components(
    wishes: Wishes, opened: Opened, stage: Path, reporter: Reporter, machine: Callable[[], Machine]
) -> Wishes:
    """The wishes with each file of a component that fits, in the version of the lockset, as a wish for the component.

    So it is recorded, kept and repaired as one that came from its publisher. Any other file stays what it is.

    Raises:
        GivenUnfitError: one cannot work here.
    """
    known, turned, put = load_components().components, [], validated(stage)
    for wish in wishes.wishes:
        name, version = _identity(wish)
        found = (
            ResolvedPackage(name, version, Path(wish.text).as_uri())
            if name in known and name not in opened.pins
            else None
        )
        if found is not None:
            allowed = replace(wishes, allow_drift=True)
            checked = check_given(ResolvedAdditions((found,)), opened, allowed, stage, reporter, machine)
            found = None if checked.moved else found
        turned.append(wish if found is None else ExtraRequirement(found.name, found.name))
    if tuple(turned) == wishes.wishes:
        return wishes
    return replace(wishes, wishes=tuple(turned), wheelhouse=put)


def _identity(wish: ExtraRequirement) -> tuple[str, str]:
    """Name and version of a wheel that is named by its path; empty for anything else."""
    if wish.name is not None or not wish.text.startswith("/") or not wish.text.endswith(".whl"):
        return "", ""
    try:
        name, version = read_identity(Path(wish.text))
    except (ValueError, OSError):
        return "", ""
    return normalise(name), version


def _is_wheel(found: ResolvedPackage) -> bool:
    return found.origin is not None and urlsplit(found.origin).path.endswith(".whl")


def _moved(found: ResolvedPackage, lockset: Lockset | None, resolution: ResolvedAdditions) -> tuple[Change, ...]:
    """The change where the lockset has the component in another version; a commit or branch is not compared."""
    if lockset is None or any(change.name == found.name for change in resolution.moved):
        return ()
    versions = [native.version for native in lockset.natives if native.name == found.name]
    if not any(map(is_release, versions)) or any(same_version(found.version, each, local=True) for each in versions):
        return ()
    return (Change("~", found.name, versions[0], found.text),)


def _file(found: ResolvedPackage, stage: Path, reporter: Reporter) -> Path:
    address = urlsplit(found.origin or "")
    path = Path(unquote(address.path))
    if address.scheme == "file":
        return path
    folder = stage / "given"
    folder.mkdir(exist_ok=True)
    download(address._replace(fragment="").geturl(), folder / path.name, _teller(found.name, reporter))
    return folder / path.name


def _teller(name: str, reporter: Reporter) -> Callable[[int, int | None], None]:
    return lambda done, total: reporter.progress(name, done, total)


def _build(found: ResolvedPackage, wheel: Path, component: Component) -> Build:
    """The component as this file gives it: compiled or not is known of its releases."""
    version = _version(found, wheel)
    release = component.release(version.partition("+")[0]) or component.releases[0]
    recipe = next(iter(release.recipes), None)
    published = next(iter(release.wheels), None) if recipe is None else None
    return Build(found.name, version, "prebuilt", "given", published, recipe)


def _version(found: ResolvedPackage, wheel: Path) -> str:
    """The version: uv does not say that of a file it has only looked at."""
    try:
        return found.version or read_identity(wheel)[1]
    except ValueError:
        return ""  # no wheel, which the check says of it


def _site(opened: Opened, lockset: Lockset | None, machine: Machine) -> Site:
    glibc = machine.host.glibc
    return Site(
        site_packages(opened.generation, opened.state.python),
        opened.state.python,
        os.uname().machine,
        glibc=glibc if isinstance(glibc, str) else None,
        cuda=None if lockset is None else lockset.cuda,
        gpus=gpu_targets(machine, "cuda") if lockset is not None and lockset.accelerator == "cuda" else (),
        environment={**os.environ, **opened.state.env},
    )
