"""Packages that the site provides: held against the lock, and put into an environment as links to the site's files.

Links, file by file, so that everything that reads an environment sees an ordinary distribution: what the site changes
later in place is seen as drift, and what it takes away as damage. Its RECORD lists what was linked: no scripts, whose
first lines name the site's Python, and nothing outside of its directory.
"""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.tags import parse_tag

from verl_env.additions.metadata import met, read_metadata
from verl_env.environment.installed import installed, normalise, same_version
from verl_env.environment.metadata import read_tags
from verl_env.environment.record import read_record
from verl_env.install.errors import ProvidedMisfitError
from verl_env.locksets.target import LockTarget, oldest_glibc
from verl_env.plans.model import Provided
from verl_env.reading import what_is
from verl_env.wheels.origin import leads_away

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from verl_env.choose.model import Choice
    from verl_env.environment.installed import Distribution
    from verl_env.locksets.model import Package
    from verl_env.machine.model import Machine

#: Stands for the release of Python in a configured directory.
_PYTHON = "{python}"


def provided_for(
    choice: Choice, packages: Sequence[Package], machine: Machine, configured: Mapping[str, Path]
) -> tuple[Provided, ...]:
    """What the site provides for a choice.

    Args:
        choice: The lockset, the Python and the native components.
        packages: The packages of its lock.
        machine: What it is for.
        configured: By package the directory that has it; ``{python}`` stands for ``3.12``.

    Raises:
        ProvidedMisfitError: it is not there, or not what the lock needs.
    """
    pins = {package.name: package.version for package in packages}
    pins |= {build.name: build.version for build in choice.builds}
    found = {name: _find(name, place, choice.python) for name, place in configured.items()}
    versions = pins | {name: each.version for name, (_, each) in found.items()}
    for name, (site, each) in found.items():
        if name in pins and not same_version(each.version, pins[name], local=True):
            raise ProvidedMisfitError(name, site, "version", pins[name], each.version)
        _check_tags(name, site, each, choice, machine)
        _check_libraries(name, site, each)
        if name not in pins:
            _check_requirements(name, site, each, versions, choice.python)
    return tuple(
        Provided(name, each.version, str(site), _module(site, each)) for name, (site, each) in sorted(found.items())
    )


def link_provided(provided: Sequence[Provided], site: Path) -> None:
    """Gives the files of what the site provides a name in a directory of packages; a file that is there stays.

    Raises:
        ProvidedMisfitError: it is not there any more.
    """
    for each in provided:
        place = Path(each.directory)
        _, have = _find(each.name, place, "")
        rows = list(_rows(have, place))
        for path, *_ in rows:
            to = site / path
            to.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(to):
                to.symlink_to(place / path)
        folder = site / os.path.basename(have.folder)  # noqa: PTH119
        with (folder / "RECORD").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([*rows, [f"{folder.name}/RECORD", "", ""]])


def _find(name: str, place: Path, python: str) -> tuple[Path, Distribution]:
    site = Path(str(place).replace(_PYTHON, python))
    have = installed(site).get(name)
    if have is None:
        raise ProvidedMisfitError(name, site, "place", "a directory with its metadata", f"it is {what_is(site)}")
    if not have.whole or have.editable or read_record(have.folder) is None:
        raise ProvidedMisfitError(name, site, "metadata", "METADATA and RECORD", os.path.basename(have.folder))  # noqa: PTH119
    return site, have


def _module(site: Path, have: Distribution) -> str:
    """What it is imported as: its first folder at the top that is a package."""
    tops = (path.removesuffix("/__init__.py") for path, *_ in _rows(have, site) if path.endswith("/__init__.py"))
    return next((top for top in tops if top.isidentifier()), "")


def _rows(have: Distribution, site: Path) -> Iterator[list[str]]:
    """The rows of its RECORD for files below its directory that are there, but RECORD itself."""
    for row in read_record(have.folder) or ():
        path = row[0]
        inside = path[:1] != "/" and ".." not in path.split("/")
        if inside and not path.endswith(".dist-info/RECORD") and (site / path).is_file():
            yield row


def _check_tags(name: str, site: Path, have: Distribution, choice: Choice, machine: Machine) -> None:
    """Whether it was built for this Python and architecture; what states nothing is taken."""
    stated = read_tags(have.folder)
    arch, glibc = machine.host.arch, machine.host.glibc
    arch = arch if isinstance(arch, str) else next(iter(choice.lockset.requires.arch), "x86_64")
    target = LockTarget(choice.python, arch, glibc if isinstance(glibc, str) else oldest_glibc(choice.lockset))
    tags = {tag for text in stated for tag in parse_tag(text)}
    # A build of the site's own is of this platform, and says linux_x86_64.
    known = {(tag.interpreter, tag.abi) for tag in target.tags}
    fits = any((tag.interpreter, tag.abi) in known and tag.platform.endswith(("any", arch)) for tag in tags)
    if tags and not fits:
        raise ProvidedMisfitError(name, site, "build", f"Python {choice.python} on {arch}", ", ".join(stated))


def _check_libraries(name: str, site: Path, have: Distribution) -> None:
    """Whether its objects find their libraries from where they are linked."""
    away = leads_away(site, [path for path, *_ in _rows(have, site)])
    if away is not None:
        path, entry = away
        need = f"libraries that {path} finds by a full path, or beside itself"
        raise ProvidedMisfitError(name, site, "libraries", need, f"it looks in {entry}")


def _check_requirements(name: str, site: Path, have: Distribution, versions: Mapping[str, str], python: str) -> None:
    """Whether the lock meets what it requires; what is not in the lock has no pin that speaks for it."""
    for line in read_metadata({name: have})[name].requires:
        if not met(line, versions, python):
            needed = line.partition(";")[0].strip()
            there = versions.get(normalise(re.split(r"[^\w.-]", needed)[0]), "nothing of it")
            raise ProvidedMisfitError(name, site, "requirement", needed, there)
