"""What is installed in an environment, read from its files: no interpreter is started."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from verl_env.environment.metadata import read_origin
from verl_env.reading import open_regular, read_text
from verl_env.records import record

if TYPE_CHECKING:
    from pathlib import Path


#: What of a pyvenv.cfg is read, in bytes.
_CONFIGURATION = 1 << 16


@record
class Distribution:
    """One installed distribution.

    ``name`` is normalised; ``origin`` is the address or directory it was installed from, None for an index; ``whole``
    is False where its metadata is incomplete or of a form that is no longer installed (``.egg-info``).
    """

    name: str
    version: str
    folder: str
    origin: str | None = None
    editable: bool = False
    whole: bool = True


def normalise(name: str) -> str:
    """A project name in the one form that compares (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def site_packages(environment: Path, python: str) -> Path:
    """The site-packages directory of an environment for a Python, ``"3.10"``."""
    return environment / "lib" / f"python{python}" / "site-packages"


def broken_interpreter(environment: Path) -> str | None:
    """Why a virtual environment cannot start as one, by its own two files; None where nothing is seen."""
    try:
        if "home" not in read_text(f"{environment}/pyvenv.cfg", _CONFIGURATION):
            return "its pyvenv.cfg names no Python"
        python = f"{environment}/bin/python"
        if not os.path.islink(python):  # noqa: PTH114
            with open_regular(python) as binary:
                if binary.read(2) == b"#!":
                    return "its bin/python is a script"
    except OSError:
        return "its pyvenv.cfg or bin/python is gone"
    return None


def installed(site: Path) -> dict[str, Distribution]:
    """Every distribution in a site-packages directory by name; empty where it cannot be listed.

    Two versions of one distribution, as a broken uninstall leaves them, count as one that is not whole.
    """
    found: dict[str, Distribution] = {}
    try:
        with os.scandir(site) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError:
        return found
    for entry in names:
        distribution = _distribution(site, entry)
        if distribution is not None:
            twice = distribution.name in found
            found[distribution.name] = _broken(distribution) if twice else distribution
    return found


def _distribution(site: Path, entry: str) -> Distribution | None:
    stem, dot, kind = entry.rpartition(".")
    if not dot or kind not in {"dist-info", "egg-info", "egg-link"}:
        return None
    name, _, version = stem.partition("-")
    folder = f"{site}/{entry}"
    # os.path, not pathlib: there are hundreds of them, and this is the path of "nothing to do".
    whole = kind == "dist-info" and os.path.exists(f"{folder}/METADATA")  # noqa: PTH110
    origin = read_origin(folder)
    if origin is None:
        return Distribution(normalise(name), version, folder, whole=whole)
    return Distribution(normalise(name), version, folder, origin.url, origin.editable, whole)


def _broken(distribution: Distribution) -> Distribution:
    return Distribution(distribution.name, distribution.version, distribution.folder, whole=False)


def same_version(have: str, want: str, *, local: bool = False) -> bool:
    """Whether two texts are one version; with ``local``, whatever local versions they carry."""
    if have == want:
        return True
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 (texts nearly always agree)

    try:
        left, right = Version(have), Version(want)
    except InvalidVersion:
        return False
    return left == right or (local and left.public == right.public)
