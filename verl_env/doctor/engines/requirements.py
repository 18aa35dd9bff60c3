"""Requirements that installed distributions state and that the environment does not meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.markers import UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from verl_env.doctor.engines.metadata import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from verl_env.doctor.engines.metadata import Distribution


@dataclass(frozen=True, slots=True)
class Missed:
    """A requirement that is not met: who states it, the requirement, its project, and what is there instead."""

    package: str
    requirement: str
    name: str
    installed: str | None


def missed(
    distributions: Iterable[Distribution], versions: Mapping[str, str | None], environment: Mapping[str, str]
) -> Iterator[Missed]:
    """Every requirement, outside extras, that is not met by these versions.

    Args:
        distributions: Whose requirements to look at.
        versions: Canonical name to version of everything that is installed.
        environment: Values of markers, from ``marker_environment``.
    """
    for distribution in distributions:
        for line in distribution.requires:
            if "extra" in line and "extra ==" in line.replace('"', "'").replace("extra==", "extra =="):
                continue
            found = _missed(distribution.name, line, versions, environment)
            if found:
                yield found


def marker_environment(python: str, machine: str | None) -> dict[str, str]:
    """The values of markers for another Python on Linux.

    Args:
        python: Its version; ``"3.10"`` counts as ``"3.10.0"``.
        machine: The architecture, that of this host where it is not known.
    """
    here = {name: str(value) for name, value in default_environment().items()}
    parts = python.split(".")
    full = ".".join((*parts, "0")) if len(parts) == 2 else python  # noqa: PLR2004  major and minor
    here.update(python_version=".".join(parts[:2]), python_full_version=full, implementation_version=full)
    here.update(platform_machine=machine or here["platform_machine"], extra="")
    return here


def _missed(
    package: str, line: str, versions: Mapping[str, str | None], environment: Mapping[str, str]
) -> Missed | None:
    try:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate(dict(environment)):
            return None
    except (InvalidRequirement, UndefinedEnvironmentName):
        return None
    name = canonical(requirement.name)
    stated = f"{requirement.name}{requirement.specifier}"
    if name not in versions:
        return Missed(package, stated, name, None)
    version = versions[name]
    try:
        met = version is None or requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return None
    return None if met else Missed(package, stated, name, version)
