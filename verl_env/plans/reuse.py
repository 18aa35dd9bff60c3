"""Carrying what is right from the old generation into the new one.

Which distributions an installation keeps as they are, whole, as their RECORDs list them; ``environment.reuse`` links
their files.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.environment.binding import FILES as BINDING
from verl_env.environment.installed import installed, site_packages
from verl_env.environment.record import read_record, relative_to_environment
from verl_env.environment.reuse import link_files
from verl_env.plans.compare import satisfies
from verl_env.records import record
from verl_env.wheels.runtime import NAME as RUNTIME

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from pathlib import Path

    from verl_env.environment.installed import Distribution
    from verl_env.plans.compare import RequiredDistribution

_CACHE = "__pycache__"
#: What environments hold in site-packages of themselves.
_OWN = (_CACHE, "_virtualenv.py", "_virtualenv.pth", *BINDING)


@record
class Kept:
    """A distribution that is carried over: its name and its files, relative to the environment."""

    name: str
    files: tuple[str, ...]


def keepable(environment: Path | None, python: str, want: Mapping[str, RequiredDistribution]) -> tuple[Kept, ...]:
    """The distributions of an environment that are wanted as they are, with every file of theirs in place.

    Never kept: the runtime distribution (cheap, and its content may change within a version), editable ones, what has
    lost a file, and what another that is not kept has written a file of: whose content it has, nobody knows.
    """
    if environment is None:
        return ()
    site = site_packages(environment, python)
    have = installed(site)
    kept: dict[str, tuple[str, ...]] = {}
    for name, distribution in have.items():
        if name in want and name != RUNTIME and not distribution.editable and satisfies(distribution, want[name]):
            files = _files(distribution, site, environment)
            if files is not None:
                kept[name] = files
    contents = {name: _contents(distribution, site, environment) for name, distribution in have.items()}
    while doubtful := _doubtful(kept, contents):
        for name in doubtful:
            del kept[name]
    return tuple(Kept(name, files) for name, files in kept.items())


def _doubtful(kept: Container[str], contents: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The kept distributions of which a file may have the content of one that is not kept."""
    foreign: dict[str, set[str]] = {}
    for name, files in contents.items():
        if name not in kept:
            for file, digest in files.items():
                foreign.setdefault(file, set()).add(digest)
    return [
        name
        for name, files in contents.items()
        if name in kept and any(foreign.get(file, {digest}) != {digest} for file, digest in files.items())
    ]


def _contents(distribution: Distribution, site: Path, environment: Path) -> dict[str, str]:
    """The recorded hash of each file of a distribution that has one, by its path relative to the environment."""
    rows = read_record(distribution.folder) or ()
    named = ((relative_to_environment(row[0], site, environment), row[1]) for row in rows if len(row) > 1 and row[1])
    return {name: digest for name, digest in named if name is not None}


def reuse(kept: Iterable[Kept], old: Path, new: Path) -> None:
    """Gives every file of the kept distributions a name in the new generation; a file that is there stays.

    Raises:
        OSError: a file can neither be linked nor copied.
    """
    link_files(old, new, (name for distribution in kept for name in distribution.files))


def unowned(environment: Path | None, python: str) -> tuple[str, ...]:
    """The entries of site-packages that no distribution owns, and that a new generation therefore leaves behind.

    Empty folders, as some wheels have them, are nothing to miss.
    """
    if environment is None:
        return ()
    site = site_packages(environment, python)
    owned = set(_OWN)
    for have in installed(site).values():
        owned |= {row[0].partition("/")[0] for row in read_record(have.folder) or ()}
        owned.add(os.path.basename(have.folder))  # noqa: PTH119
    try:
        foreign = sorted(set(os.listdir(site)) - owned)  # noqa: PTH208
    except OSError:
        return ()
    return tuple(name for name in foreign if not _is_empty_folder(os.path.join(site, name)))  # noqa: PTH118


def _is_empty_folder(path: str) -> bool:
    try:
        return not os.listdir(path)  # noqa: PTH208
    except OSError:
        return False


def _files(distribution: Distribution, site: Path, environment: Path) -> tuple[str, ...] | None:
    """The files of a distribution and their bytecode; None where one is missing or no RECORD says."""
    rows = read_record(distribution.folder)
    if rows is None:
        return None
    files: dict[str, None] = {}
    caches: dict[str, list[str]] = {}
    for path, *_ in rows:
        name = relative_to_environment(path, site, environment)
        if name is None:
            continue
        is_there = os.path.exists(f"{environment}/{name}")  # noqa: PTH110
        if not is_there and not name.endswith(".pyc"):
            return None
        if is_there:
            files[name] = None
        if name.endswith(".py"):
            files |= dict.fromkeys(_bytecode(name, environment, caches))
    return tuple(files)


def _bytecode(name: str, environment: Path, caches: dict[str, list[str]]) -> list[str]:
    """The compiled forms of a source file that are there, so that the next import need not compile it again."""
    folder, _, file = name.rpartition("/")
    cache = f"{folder}/{_CACHE}"
    if cache not in caches:
        try:
            caches[cache] = os.listdir(environment / cache)  # noqa: PTH208
        except OSError:
            caches[cache] = []
    stem = file.removesuffix("py")
    return [f"{cache}/{compiled}" for compiled in caches[cache] if compiled.startswith(stem)]
