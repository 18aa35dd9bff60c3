"""Requirements that an environment leaves unmet, as ``pip check`` sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from verl_env.locksets.replay import Pinned

ABSENT = "absent"


@record
class UnmetRequirement:
    """A requirement of a package, the name it is on, and the version that is there instead."""

    package: str
    requires: str
    name: str
    installed: str


def unmet_requirements(installed: Mapping[str, Pinned], markers: Mapping[str, str]) -> tuple[UnmetRequirement, ...]:
    """Every unmet requirement of the packages of an environment, by package and requirement.

    Virtual components count as installed; what they themselves require is not judged. Requirements behind an extra
    are not judged either: metadata does not say which extras were asked for.

    Args:
        installed: the environment by normalised name.
        markers: the environment that markers are evaluated in.
    """
    found = {
        missed
        for pin in installed.values()
        if not pin.virtual
        for line in pin.requires
        for missed in _judge(pin.name, line, installed, markers)
    }
    return tuple(sorted(found, key=lambda missed: (missed.package, missed.requires)))


def _judge(
    package: str, line: str, installed: Mapping[str, Pinned], markers: Mapping[str, str]
) -> Iterator[UnmetRequirement]:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        yield UnmetRequirement(package, line, line, "unreadable")
        return
    if requirement.marker and not requirement.marker.evaluate({**markers, "extra": ""}):
        return
    name = canonicalize_name(requirement.name)
    there = installed.get(name)
    if there is None or not requirement.specifier.contains(there.version, prereleases=True):
        wanted = f"{name}{requirement.specifier}"
        yield UnmetRequirement(package, wanted, name, there.version if there else ABSENT)
