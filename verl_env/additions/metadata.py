"""The metadata of installed packages, as a resolver needs it, and an environment that holds nothing else.

Locksets keep requirements that their image leaves unmet: a resolver that reads these refuses everything that touches
the packages in question. So it is shown the same packages without such requirements, in a virtual environment of
metadata alone. What a user adds is still held against every pin.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from verl_env.additions.model import Cause
from verl_env.environment.installed import normalise
from verl_env.environment.metadata import metadata_of
from verl_env.reading import read_text
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from pathlib import Path

    from packaging.requirements import Requirement

    from verl_env.environment.installed import Distribution
    from verl_env.environment.metadata import Metadata


def read_metadata(have: Mapping[str, Distribution]) -> dict[str, Metadata]:
    """The metadata of installed packages by normalised name; without those that cannot be read."""
    found = {}
    for name, distribution in have.items():
        with contextlib.suppress(OSError):
            text = read_text(f"{distribution.folder}/METADATA")
            found[name] = metadata_of(text, distribution.name, distribution.version)
    return found


def write_metadata(site: Path, packages: Mapping[str, Metadata], python: str, locked: Container[str]) -> None:
    """Writes packages into a site-packages directory, the locked ones without requirements that are unmet."""
    versions = {name: package.version for name, package in packages.items()}
    for name, package in packages.items():
        folder = site / f"{package.name.replace('-', '_')}-{package.version}.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        kept = [line for line in package.requires if name not in locked or met(line, versions, python)]
        lines = ["Metadata-Version: 2.1", f"Name: {package.name}", f"Version: {package.version}"]
        lines += [f"Provides-Extra: {extra}" for extra in package.extras]
        lines += [f"Requires-Dist: {line}" for line in kept]
        (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "INSTALLER").write_text("verl-env\n", encoding="utf-8")
        (folder / "RECORD").write_text("", encoding="utf-8")


def met(line: str, versions: Mapping[str, str], python: str) -> bool:
    """Whether a requirement is met by the versions that are there, or is of no account without an extra."""
    requirement = _requirement(line)
    if requirement is None or not applies(requirement, python):
        return requirement is not None
    version = versions.get(normalise(requirement.name))
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def applies(requirement: Requirement, python: str) -> bool:
    """Whether a requirement counts on this host under a Python, ``"3.10"``, without any extra."""
    if requirement.marker is None:
        return True
    full = f"{python}.0"
    return requirement.marker.evaluate({"python_version": python, "python_full_version": full, "extra": ""})


def broken(packages: Mapping[str, Metadata], after: Mapping[str, str], python: str) -> Iterator[str]:
    """The requirements of packages that are met now and not by other versions, in words.

    Args:
        packages: What is there now.
        after: The versions of everything afterwards.
        python: The Python of the environment.
    """
    now = {name: package.version for name, package in packages.items()}
    for name, package in sorted(packages.items()):
        if after.get(name) != package.version:
            continue
        for line in package.requires:
            if met(line, now, python) and not met(line, after, python):
                yield f"{name} {package.version} requires {line.partition(';')[0].strip()}"


def reachable(packages: Mapping[str, Metadata], names: Iterable[str], python: str) -> set[str]:
    """These packages and all that they require, as far as it is there."""
    found: set[str] = set()
    waiting = [name for name in names if name in packages]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [need.name for need in _needs(packages[name], python) if need.name in packages]
    return found


def needed_by(packages: Mapping[str, Metadata], pins: Mapping[str, str], python: str) -> tuple[Cause, ...]:
    """Which packages require some others, one cause for each of these others."""
    found = {}
    for name, package in sorted(packages.items(), reverse=True):
        for need in _needs(package, python):
            if need.name in pins and name not in pins:
                found[need.name] = Cause(need.name, pins[need.name], f"{name} {package.version}", need.text)
    return tuple(found[name] for name in pins if name in found)


@record
class _Need:
    """A requirement that counts: the normalised name, and it as a text."""

    name: str
    text: str


def _needs(package: Metadata, python: str) -> Iterator[_Need]:
    for line in package.requires:
        requirement = _requirement(line)
        if requirement is not None and applies(requirement, python):
            yield _Need(normalise(requirement.name), f"{requirement.name}{requirement.specifier}")


def _requirement(line: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    try:
        return Requirement(line)
    except InvalidRequirement:
        return None
