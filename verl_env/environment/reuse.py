"""What a new generation takes over from the old one: by second names of its files (hard links), never by content.

Do installers write into files that are there, and so into what the old generation shares? pip and uv from 0.13 on do
not: they make a new file and rename it, or unlink the old one. uv 0.9, which is supported too, does where it copies
out of its cache (``--link-mode copy``, or a cache on another file system) and another package has a file of that name.
So the order is always the same: the installer works first, in a generation that holds no file of any package, and only
then what is kept is linked, around what is there. ``tests/environment/test_in_place.py`` asks the installers.

Two policies use it. An installation keeps whole distributions as their RECORDs list them, and nothing that no package
owns: its environment is what its record says. A change (``verl-env pip``, ``doctor --fix``, ``patches``) keeps
everything but what it replaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from verl_env.environment.files import link_or_copy
from verl_env.environment.installed import installed, normalise
from verl_env.environment.record import read_record, relative_to_environment
from verl_env.reading import open_regular

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from verl_env.environment.installed import Distribution

_METADATA = (".dist-info", ".egg-info", ".egg-link")


def sites(environment: Path) -> tuple[Path, ...]:
    """The directories of packages of an environment, whichever Python it is of."""
    return tuple(sorted(path for path in environment.glob("lib/python3*/site-packages") if path.is_dir()))


def packages_of(environment: Path) -> dict[str, Distribution]:
    """What is installed in an environment, whichever Python it is of."""
    return {name: each for site in reversed(sites(environment)) for name, each in installed(site).items()}


def link_files(old: Path, new: Path, names: Iterable[str]) -> None:
    """Gives files of one generation a name in another; a file that is there stays.

    Scripts are copied: an editable installation that comes later may write one of the same name in place.

    Args:
        old: The generation that has the files.
        new: The generation that gets them.
        names: Their paths, relative to the generation.

    Raises:
        OSError: a file can neither be linked nor copied.
    """
    made: set[str] = set()
    for name in names:
        folder = os.path.dirname(name)  # noqa: PTH120
        if folder not in made:
            # Not before there is a file: an empty directory would be importable.
            os.makedirs(new / folder, exist_ok=True)  # noqa: PTH103
            made.add(folder)
        source, destination = f"{old}/{name}", f"{new}/{name}"
        with contextlib.suppress(FileExistsError):
            if folder == "bin" and not os.path.lexists(destination) and _is_script(source):
                shutil.copy2(source, destination, follow_symlinks=False)
            else:
                link_or_copy(source, destination)


def files_of(environment: Path) -> dict[str, set[str]]:
    """The files of each distribution as its RECORD lists them, relative to the environment, and its metadata folder.

    Two versions of one, as a broken uninstallation leaves them, count as one.
    """
    found: dict[str, set[str]] = {}
    for site in sites(environment):
        for entry in os.listdir(site):  # noqa: PTH208
            if entry.endswith(_METADATA):
                rows = read_record(f"{site}/{entry}") or ()
                paths = (relative_to_environment(row[0], site, environment) for row in rows)
                files = found.setdefault(normalise(entry.rpartition(".")[0].partition("-")[0]), set())
                files.update(path for path in paths if path is not None)
                files.add(os.path.relpath(f"{site}/{entry}", environment))
    return found


def scaffold(old: Path) -> Iterator[str]:
    """The files of an environment that belong to no package: interpreter, configuration, what a user put there."""
    owned = set().union(*files_of(old).values())
    return _walk(old, owned | {os.path.relpath(site, old) for site in sites(old)})


def remainder(old: Path, gone: Collection[str]) -> Iterator[str]:
    """The files of an environment but those of some packages, where no other package lists them too."""
    owned = files_of(old)
    theirs = set().union(*(files for name, files in owned.items() if name in gone))
    others = set().union(*(files for name, files in owned.items() if name not in gone))
    return _walk(old, theirs - others)


def _walk(root: Path, left: Collection[str]) -> Iterator[str]:
    """Every file and link below a directory, relative to it, but those in ``left`` and their bytecode."""
    for folder, folders, files in os.walk(root):
        place = os.path.relpath(folder, root)
        folders[:] = [name for name in folders if os.path.normpath(f"{place}/{name}") not in left]
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114
        for name in [*files, *links]:
            path = os.path.normpath(f"{place}/{name}")
            if path not in left and not _is_bytecode_of(path, left):
                yield path


def _is_bytecode_of(path: str, left: Collection[str]) -> bool:
    """Whether a file is the compiled form of a source file that is left."""
    folder, _, file = path.rpartition("/__pycache__/")
    return bool(file) and f"{folder}/{file.partition('.')[0]}.py" in left


def _is_script(path: str) -> bool:
    if os.path.islink(path):  # noqa: PTH114
        return False
    try:
        with open_regular(path) as file:
            return file.read(2) == b"#!"
    except OSError:
        return False
