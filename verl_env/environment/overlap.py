"""Files that a package brings and another one owns: refused by name, before anything is put in force.

What an installer writes is looked at as files, not as RECORDs list them: a wheel may hold more than its RECORD says.
A file with the same content as the owner's is no overlap: many wheels share an empty ``nvidia/__init__.py``.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from verl_env.environment.binding import FILES as BINDING
from verl_env.environment.errors import FilesOverlapError
from verl_env.environment.expected import expected_files
from verl_env.environment.installed import installed
from verl_env.environment.record import record_hash, recorded_files
from verl_env.environment.reuse import files_of, packages_of, sites
from verl_env.reading import open_regular, read_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from verl_env.environment.expected import Expected

    #: What tells whether a file is the one that was there: device, inode, size, time of its content.
    Identity: TypeAlias = tuple[int, int, int, int]

#: What belongs to an environment itself and to no package.
ITSELF = "the environment itself"
_GUARDED = re.compile(
    r"pyvenv\.cfg|pip\.conf|(?:files\.)?verl-env(?:-constraints|-proofs)?\.(?:json|txt)|bin/(?:python[\d.]*|[Aa]ctivate.*|deactivate.*)"
)
#: The suffixes of one module in the order in which an import looks for them, and its folder.
_MODULE = re.compile(r"(?:/__init__)?(?:\.(?:cpython|abi3)[^/.]*(?:\.[^/.]*)?)?\.(?:so|py|pyc)$")
#: What badly packed wheels lay at the top of site-packages, and nobody imports: the owner's file stays.
_HARMLESS = re.compile(
    r"(?:lib/python[^/]*/site-packages|share)/(?:(?:tests?|docs?|examples)/.*|[A-Z][\w-]*(?:\.(?:md|rst|txt))?|man/.*)"
)
_BLOCK = 1 << 20
#: Bytes of a file that is hashed at most.
_LARGEST = 1 << 30


def guarded_files(environment: Path) -> dict[str, Identity]:
    """The files of an environment that no package may write, relative to it, with what tells whether one did."""
    names = [*_names(environment), *(f"bin/{name}" for name in _names(environment / "bin"))]
    guarded = {name: _identity(f"{environment}/{name}") for name in names if _GUARDED.fullmatch(name)}
    binding = [f"{os.path.relpath(site, environment)}/{name}" for site in sites(environment) for name in BINDING]
    there = (name for name in binding if os.path.lexists(environment / name))
    return guarded | {name: _identity(f"{environment}/{name}") for name in there}


def refuse_guarded(environment: Path, before: Mapping[str, Identity]) -> None:
    """Compares with what was guarded before an installer ran.

    Raises:
        FilesOverlapError: a package wrote one of these files.
    """
    now = guarded_files(environment)
    wrong = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
    if wrong:
        raise FilesOverlapError({(_owner(environment, wrong[0], files_of(environment)), ITSELF): wrong})


def refuse_overlaps(new: Path, old: Path, kept: Collection[str]) -> None:
    """Compares what an installer wrote into a generation with what will be taken over into it.

    Licences, tests and the like at the top of site-packages stay those of the owner. A path that a package shared
    with its owner before is no news: the doctor tells of it.

    Args:
        new: The generation, with what was installed anew and no package beside.
        old: The generation in force.
        kept: The files of the old one that will be taken over, relative to it.

    Raises:
        FilesOverlapError: a package wrote a file that another one owns, or a module that hides it.
    """
    before, after = files_of(old), files_of(new)
    owners = {path: name for name, files in before.items() for path in files if path in kept}
    modules = {_module(path): path for path in owners if _MODULE.search(path)}
    found: dict[tuple[str, str], list[str]] = {}
    for path in _written(new, old, kept):
        taken = path if path in owners else modules.get(_module(path), "")
        if not taken or (taken == path and _same(f"{old}/{path}", f"{new}/{path}")):
            continue
        if taken == path and _HARMLESS.fullmatch(path):
            os.unlink(new / path)  # noqa: PTH108
            continue
        newcomer = _owner(new, path, after)
        if newcomer != owners[taken] and path not in before.get(newcomer, ()):
            found.setdefault((newcomer, owners[taken]), []).append(path)
    if found:
        raise FilesOverlapError(found)


def contested(environment: Path, read: dict[str, Expected] | None = None) -> dict[str, dict[str, str]]:
    """The paths that several packages record with different contents: the digest that each records, by its name.

    Args:
        environment: The environment.
        read: What was read of its RECORDs before; what is read now is put into it.
    """
    owners: dict[str, dict[str, str]] = {}
    for site in sites(environment):
        have = installed(site)
        shared = _shared(expected_files(have, {} if read is None else read))
        for name in sorted({name for names in shared.values() for name in names}):
            for path, digest, *_ in recorded_files(have[name].folder) or ():
                place = os.path.normpath(path)
                if digest and name in shared.get(place, ()):
                    owners.setdefault(os.path.relpath(site / place, environment), {})[name] = digest
    return {path: digests for path, digests in owners.items() if len(set(digests.values())) > 1}


def _shared(expected: Mapping[str, Expected | None]) -> dict[str, list[str]]:
    """The paths that several distributions list, with their names; most folders are of one alone."""
    folders: dict[str, list[str]] = {}
    for name, each in expected.items():
        for folder in () if each is None else each.folders:
            folders.setdefault(folder, []).append(name)
    paths: dict[str, list[str]] = {}
    for folder, names in folders.items():
        if len(names) > 1:
            for name in names:
                for file in getattr(expected[name], "folders", {})[folder]:
                    paths.setdefault(f"{folder}/{file}" if folder else file, []).append(name)
    return {path: names for path, names in paths.items() if len(names) > 1}


def refuse_contested(environment: Path, extras: Collection[str]) -> None:
    """Whether what users added has files of its own only.

    Raises:
        FilesOverlapError: one records another content of a file than another package does.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for path, digests in contested(environment).items() if extras else ():
        newcomers = sorted(digests.keys() & set(extras))
        if newcomers and not _HARMLESS.fullmatch(path):
            others = sorted(digests.keys() - set(extras)) or newcomers[1:]
            found.setdefault((newcomers[0], others[0]), []).append(path)
    if found:
        raise FilesOverlapError(found)


def losers(environment: Path, order: Sequence[str], read: dict[str, Expected] | None = None) -> tuple[str, ...]:
    """The packages of an order, of which the last one that records a path shall have it, that have lost one."""
    places = {name: number for number, name in enumerate(order)}
    wrong = set()
    for path, digests in contested(environment, read).items():
        named = [name for name in digests if name in places]
        owner = max(named, key=places.__getitem__, default=None)
        if len(named) > 1 and owner is not None and _digest(environment / path) != digests[owner]:
            wrong.add(owner)
    return tuple(sorted(wrong, key=places.__getitem__))


def _digest(file: Path) -> str:
    try:
        return record_hash(read_bytes(file, _LARGEST))
    except OSError:
        return ""


def _written(new: Path, old: Path, kept: Collection[str]) -> Iterator[str]:
    """The files of a new generation that it does not share with the old one."""
    for folder, _, files in os.walk(new):
        place = os.path.relpath(folder, new)
        for name in files:
            path = os.path.normpath(f"{place}/{name}")
            if path in kept and _identity(f"{new}/{path}") == _identity(f"{old}/{path}"):
                continue
            yield path


def _owner(environment: Path, path: str, files: Mapping[str, Collection[str]]) -> str:
    """Which package wrote a file; all that could have, where no RECORD lists it."""
    named = [name for name, own in files.items() if path in own]
    return named[0] if named else " or ".join(sorted(packages_of(environment))) or "an installer"


def _module(path: str) -> str:
    """What a file is imported as, as a path; compiled forms beside the source and in a cache alike."""
    return _MODULE.sub("", path.replace("__pycache__/", ""))


def _same(one: str, other: str) -> bool:
    """Whether two files have one content, or two links one target."""
    if os.path.islink(one) or os.path.islink(other):  # noqa: PTH114
        return os.path.islink(one) and os.path.islink(other) and os.readlink(one) == os.readlink(other)  # noqa: PTH114, PTH115
    if os.path.getsize(one) != os.path.getsize(other):  # noqa: PTH202
        return False
    with open_regular(one) as first, open_regular(other) as second:
        while block := first.read(_BLOCK):
            if block != second.read(_BLOCK):
                return False
    return True


def _identity(path: str) -> Identity:
    found = os.lstat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _names(directory: Path) -> Iterable[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208
    except OSError:
        return ()
