"""Distributions of an environment and of what leaks into it, read from their metadata files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from verl_env.environment.metadata import metadata_of, read_installer, read_origin, read_tags
from verl_env.reading import text_or_none
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIST_INFO = re.compile(r"^(?P<name>[A-Za-z0-9_.]+?)-(?P<version>[^-]+)\.dist-info$")
_EGG_INFO = re.compile(r"^(?P<name>[A-Za-z0-9_.]+?)(-(?P<version>[^-]+)(-py[\d.]+)?(-[\w.]+)?)?\.egg-info$")


@record
class Described:
    """One installed distribution with what its metadata states.

    ``name`` is canonical; ``path`` is its metadata, ``site`` the directory it lies in. ``version`` is None where the
    metadata is missing. ``requires`` are Requires-Dist lines as they stand, ``tags`` those of WHEEL. ``editable`` is
    the source directory of an editable install.
    """

    name: str
    version: str | None
    path: str
    site: str
    requires: tuple[str, ...] = ()
    requires_python: str | None = None
    tags: tuple[str, ...] = ()
    installer: str | None = None
    url: str | None = None
    editable: str | None = None

    @property
    def record(self) -> Path:
        """Where its RECORD is, if it has one."""
        return Path(self.path) / "RECORD"


@record
class SiteDirectory:
    """One directory of packages: its distributions, leftovers of broken installs, and paths that .pth files add."""

    path: str
    distributions: tuple[Described, ...]
    leftovers: tuple[str, ...]
    added: tuple[str, ...]
    names: frozenset[str] = frozenset()


def scan_site(path: str | Path) -> SiteDirectory:
    """The distributions of one directory; empty where it cannot be listed."""
    base = str(path)
    try:
        names = sorted(os.listdir(base))  # noqa: PTH208  names alone are wanted
    except OSError:
        names = []
    distributions, leftovers, added = [], [], []
    for name in names:
        if name.startswith("~"):
            leftovers.append(name)
        elif name.endswith((".dist-info", ".egg-info")):
            distributions.append(read_distribution(os.path.join(base, name)))  # noqa: PTH118  a hot loop
        elif name.endswith((".pth", ".egg-link")):
            added += _added_paths(Path(base, name))
    return SiteDirectory(base, tuple(distributions), tuple(leftovers), tuple(dict.fromkeys(added)), frozenset(names))


def read_distribution(path: str) -> Described:
    """The distribution of a ``.dist-info`` or ``.egg-info``; its name and version from the file name if need be."""
    site, folder = os.path.split(path)
    match = _DIST_INFO.match(folder) or _EGG_INFO.match(folder)
    stated = metadata_of(_metadata_text(path), match["name"] if match else folder, "")
    info = folder.endswith(".dist-info")
    origin = read_origin(path) if info else None
    url = origin.url if origin and origin.readable else None
    return Described(
        name=canonicalize_name(stated.name),
        version=stated.version or None,
        path=path,
        site=site,
        requires=stated.requires,
        requires_python=stated.requires_python,
        tags=read_tags(path) if info else (),
        installer=read_installer(path) if info else None,
        url=url,
        editable=url.removeprefix("file://") if url and origin and origin.editable else None,
    )


def sites_of(prefix: Path) -> list[Path]:
    """The directories of packages of an environment without repetition; a distribution's Python uses dist-packages."""
    local = (prefix / "local",) if prefix == Path("/usr") else ()
    found: dict[str, Path] = {}
    for base in (*local, prefix):
        for library in ("lib", "lib64"):
            for python in sorted((base / library).glob("python3*")):
                for site in (python / "site-packages", python / "dist-packages"):
                    if site.is_dir():
                        found.setdefault(os.path.realpath(site), site)
    return list(found.values())


def user_site(python: str, environment: Mapping[str, str]) -> Path | None:
    """The user's own site directory for a Python ``"3.10"``, unless PYTHONNOUSERSITE switches it off."""
    if environment.get("PYTHONNOUSERSITE"):
        return None
    base = environment.get("PYTHONUSERBASE") or os.path.join(environment.get("HOME", ""), ".local")  # noqa: PTH118
    path = Path(base) / "lib" / f"python{python}" / "site-packages"
    return path if path.is_dir() else None


def by_name(distributions: Iterable[Described]) -> dict[str, list[Described]]:
    """Distributions by canonical name, in the order they are given."""
    found: dict[str, list[Described]] = {}
    for distribution in distributions:
        found.setdefault(distribution.name, []).append(distribution)
    return found


def _metadata_text(path: str) -> str:
    for name in ("METADATA", "PKG-INFO"):
        text = _text(os.path.join(path, name))  # noqa: PTH118
        if text:
            return text
    return _text(path) if path.endswith(".egg-info") else ""


def _text(path: str) -> str:
    return text_or_none(path) or ""


def _added_paths(path: Path) -> list[str]:
    """The directories that a .pth or .egg-link file adds to the search path."""
    found = []
    for line in _text(str(path)).splitlines():
        entry = line.strip()
        if entry and not entry.startswith(("#", "import ", "import\t")):
            resolved = os.path.normpath(path.parent / entry)
            if Path(resolved).is_dir() and resolved != str(path.parent):
                found.append(resolved)
    return found
