"""Requirements that installed distributions state and that the environment does not meet."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from packaging.markers import UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from verl_env.doctor.engines.metadata import Described


#: A name with specifiers, as almost all are; old metadata puts these in parentheses.
_PLAIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?: *([<>=!~][^()\[\]@;]*)| *\(([^()\[\]@;]*)\))?")


@record
class Missed:
    """A requirement that is not met: who states it, the requirement, its project, and what is there instead."""

    package: str
    requirement: str
    name: str
    installed: str | None


def missed(
    distributions: Iterable[Described], versions: Mapping[str, str | None], environment: Mapping[str, str]
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
    head, _, marker = line.partition(";")
    plain = _PLAIN.fullmatch(head.strip())
    try:
        if marker and not _applies(f"x;{marker}", tuple(environment.items())):
            return None
        name, stated = (plain[1], plain[2] or plain[3] or "") if plain else _parts(head)
        project = canonicalize_name(name)
        version = versions.get(project)
        if project in versions and (version is None or _meets(stated, version)):
            return None
        return Missed(package, f"{name}{SpecifierSet(stated)}", project, version)
    except (InvalidRequirement, InvalidSpecifier, UndefinedEnvironmentName, InvalidVersion):
        return None


def _parts(head: str) -> tuple[str, str]:
    """Name and specifiers of a requirement that is more than these: extras, an address."""
    requirement = Requirement(head)
    return requirement.name, str(requirement.specifier)


# An environment states 100,000 requirements, and a few thousand markers and pairs of specifiers and versions.
@functools.lru_cache(maxsize=1 << 14)
def _applies(marked: str, environment: tuple[tuple[str, str], ...]) -> bool:
    marker = Requirement(marked).marker
    return marker is None or marker.evaluate(dict(environment))


@functools.lru_cache(maxsize=1 << 16)
def _meets(stated: str, version: str) -> bool:
    return SpecifierSet(stated).contains(Version(version), prereleases=True)
