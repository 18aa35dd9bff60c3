"""The table of releases: what each asks of Python and of the packages around it, and when it came out.

It is generated (``verl-env lock --releases``) from the core metadata of every release on the index. What is newer than
the table is unknown, and said to be: nothing is guessed from the release before.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from packaging.markers import InvalidMarker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where the generated table lies.
FILE = Path(__file__).parent / "releases.json"
#: What the table knows of a version: its row, that it is newer than all rows, or that the index never had it.
Standing = Literal["known", "newer", "never-on-index", "not-a-project"]


@record
class IndexRelease:
    """One release of a project.

    Attributes:
        version: As the index has it.
        date: The day of its first file, ``2026-11-02``; None where the index does not say.
        python: Its ``Requires-Python``.
        requires: What it asks of the packages that are watched; None where the index serves no metadata for it
            (a source archive alone).
    """

    version: str
    date: str | None
    python: str | None
    requires: tuple[str, ...] | None


@functools.cache
def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return data


def read_on() -> str:
    """The day on which the table was made."""
    return str(_data()["read"])


def projects() -> tuple[str, ...]:
    """The projects whose releases are known, by canonical name."""
    return tuple(_data()["projects"])


@functools.cache
def releases(project: str) -> Mapping[Version, IndexRelease]:
    """Every release of a project that the table has, oldest first."""
    rows = _data()["projects"].get(canonicalize_name(project), {})
    found = {
        Version(name): IndexRelease(name, row.get("date"), row.get("python"), _requires(row))
        for name, row in rows.items()
    }
    return dict(sorted(found.items()))


def _requires(row: Mapping[str, Any]) -> tuple[str, ...] | None:
    return tuple(row["requires"]) if row.get("requires") is not None else None


def release(project: str, version: Version | str | None) -> IndexRelease | None:
    """The row of a version, whatever its local part says (``0.19.0+cu129`` is 0.19.0); None where there is none."""
    parsed = _version(version)
    return releases(project).get(Version(parsed.public)) if parsed else None


def standing(project: str, version: Version | str) -> Standing:
    """What the table knows of a version of a project."""
    rows, parsed = releases(project), _version(version)
    if not rows or parsed is None:
        return "not-a-project"
    if Version(parsed.public) in rows:
        return "known"
    return "newer" if parsed > max(rows) else "never-on-index"


def _version(version: Version | str | None) -> Version | None:
    try:
        return Version(version) if isinstance(version, str) else version
    except InvalidVersion:
        return None


def asked(project: str, version: Version | str | None, package: str, markers: Mapping[str, str]) -> str | None:
    """The specifier with which a release asks for a package, ``"==2.14.0"`` or ``""`` for any; None where it does not.

    Args:
        project: The asking project.
        version: Its version.
        package: The package that is asked for.
        markers: What is known of the environment, as PEP 508 names it (``python_version``, ``platform_machine``);
            a requirement whose marker turns on something else is taken for Linux on x86_64.
    """
    row = release(project, version)
    wanted = canonicalize_name(package)
    fitting = (one for one in _parsed(row, wanted) if _holds(one, markers))
    found = [one.specifier for one in fitting]
    return ",".join(sorted({str(one) for one in found if str(one)})) if found else None


def everything(project: str, version: Version | str | None, markers: Mapping[str, str]) -> dict[str, str]:
    """Every watched package that a release asks for, with its specifier; empty where nothing is known."""
    names = dict.fromkeys(canonicalize_name(one.name) for one in _parsed(release(project, version)))
    asked_for = ((name, asked(project, version, name, markers)) for name in names)
    return {name: specifier for name, specifier in asked_for if specifier is not None}


@functools.lru_cache(maxsize=512)
def _parsed(row: IndexRelease | None, name: str | None = None) -> tuple[Requirement, ...]:
    """What a release asks for, or of it what has a canonical name; reading all of them takes 0.5 ms each."""
    lines = (row.requires if row else None) or ()
    fitting = (line for line in lines if name is None or canonicalize_name(_NAME.split(line, 1)[0]) == name)
    return tuple(parsed for line in fitting if (parsed := requirement(line)) is not None)


def requirement(line: str) -> Requirement | None:
    """A parsed ``Requires-Dist``; None for one that PEP 508 does not know."""
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


_NAME = re.compile(r"[^\w.-]")
#: Extras of old releases that everybody took: SGLang's engine was one.
USUAL_EXTRAS = ("", "srt", "runtime-common", "runtime_common", "all", "core", "core-cu12", "core-cu13", "pytorch")
_LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.12.0",
    "python_version": "3.12",
    "sys_platform": "linux",
}


def _holds(asked_for: Requirement, markers: Mapping[str, str]) -> bool:
    if asked_for.marker is None:
        return True
    try:
        return any(asked_for.marker.evaluate({**_LINUX, **markers, "extra": extra}) for extra in USUAL_EXTRAS)
    except InvalidMarker:
        return False
