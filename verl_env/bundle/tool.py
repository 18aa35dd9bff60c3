"""What verl-env itself needs on another host: its dependencies, pip and uv, for every Python that it runs on.

The versions are those that run here: a set that was tried together. What is not installed here (uv is an extra, some
dependencies are for one Python alone) is the newest on the index that fits.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from verl_env.bundle.lookup import BundleRequirement
from verl_env.bundle.model import TOOL
from verl_env.bundle.own_wheel import NAME
from verl_env.locksets.index import best_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verl_env.locksets.index import Index
    from verl_env.locksets.target import LockTarget

#: The Pythons that verl-env runs on.
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
#: What the new host gets beside the dependencies.
_ROOTS = (f"{NAME}[uv]",)


def tool_wanted(targets: Sequence[LockTarget], index: Index) -> tuple[BundleRequirement, ...]:
    """What verl-env needs on each target; a Python that a dependency has no wheel for is left out.

    Raises:
        IndexUnreachableError: a page could not be read.
    """
    found: dict[BundleRequirement, None] = {}
    for target in targets:
        needed = _for(target, index)
        found |= dict.fromkeys(needed or ())
    return tuple(found)


def served(wanted: Iterable[BundleRequirement]) -> tuple[str, ...]:
    """The Pythons that something is wanted for."""
    return tuple(sorted({each.target.python for each in wanted if each.folder == TOOL}, key=Version))


def _for(target: LockTarget, index: Index) -> list[BundleRequirement] | None:
    """The closure of the requirements on one target; None where a wheel is lacking."""
    versions: dict[str, str] = {}
    todo = [Requirement(root) for root in _ROOTS]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name not in versions or requirement.extras:
            version = versions.get(name) or _version(requirement, target, index)
            if version is None:
                return None
            versions[name] = version
            todo += _requires(name, requirement.extras, target)
    del versions[NAME]
    return [BundleRequirement(name, version, "tool", target, folder=TOOL) for name, version in sorted(versions.items())]


def _version(requirement: Requirement, target: LockTarget, index: Index) -> str | None:
    name = canonicalize_name(requirement.name)
    here = _installed(name)
    fits = here is not None and requirement.specifier.contains(here, prereleases=True)
    if here is not None and fits and (name == NAME or _has_wheel(name, here, target, index)):
        return here
    releases = {file.release[1] for file in index.files(name) if file.is_wheel and file.release is not None}
    fitting = sorted(requirement.specifier.filter(releases, prereleases=False), reverse=True)
    return next((str(version) for version in fitting if _has_wheel(name, str(version), target, index)), None)


def _has_wheel(name: str, version: str, target: LockTarget, index: Index) -> bool:
    file = best_file(index.release(name, version), target)
    return file is not None and file.is_wheel


def _installed(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def _requires(name: str, extras: Iterable[str], target: LockTarget) -> list[Requirement]:
    """What a distribution requires on a target, as its metadata here has it; nothing where it is not installed here."""
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    found = []
    for line in lines:
        requirement = Requirement(line)
        environments = [{**target.markers, "extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(each) for each in environments):
            found.append(requirement)
    return found
