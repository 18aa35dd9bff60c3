"""What a source distribution needs to be built, as its ``pyproject.toml`` says (PEP 518)."""

from __future__ import annotations

import tarfile
import zipfile
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from verl_env.bundle.resolve import resolve
from verl_env.constraints import toml_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.bundle.lookup import BundleRequirement, Fetch

#: What installers take where nothing is said (PEP 517).
_DEFAULT = ("setuptools>=40.8.0", "wheel")


def sdist_requirements(fetch: Fetch, sdist: Path, constraints: Sequence[str]) -> tuple[BundleRequirement, ...]:
    """The wheels that a build of a source distribution needs on its target.

    Raises:
        BundleFileUnavailableError: they cannot be had.
    """
    lines = [line for line in build_requires(sdist) if _applies(line, fetch)]
    return resolve(lines, constraints, fetch.target, "build")


def build_requires(sdist: Path) -> tuple[str, ...]:
    """The requirements that a source distribution states for its build."""
    try:
        table = toml_of(_read(sdist).decode())
        return tuple(str(line) for line in table["build-system"]["requires"])
    except (KeyError, ValueError, TypeError, OSError, tarfile.TarError, zipfile.BadZipFile):
        return _DEFAULT


def _applies(line: str, fetch: Fetch) -> bool:
    marker = Requirement(line).marker
    return marker is None or marker.evaluate(dict(fetch.target.markers))


def _read(sdist: Path) -> bytes:
    """The pyproject.toml at the root of the source."""
    if sdist.suffix == ".zip":
        with zipfile.ZipFile(sdist) as archive:
            name = next(name for name in sorted(archive.namelist(), key=len) if _is_project(name))
            return archive.read(name)
    with tarfile.open(sdist) as tar:
        for member in tar:
            if _is_project(member.name) and (file := tar.extractfile(member)) is not None:
                return file.read()
    raise KeyError(sdist.name)


def _is_project(name: str) -> bool:
    return name.endswith("/pyproject.toml") and name.count("/") == 1
