"""Every lockset that verl-env has.

``catalogue.json`` beside the families holds the contents of every lockset.toml, because reading it takes a tenth of
the time of importing a TOML parser. Each entry carries the checksum of its lockset.toml: an entry that does not match
the file that is there is not used, and the file is parsed instead. (A CRC, as it guards against an edit and not an
attack: importing hashlib takes 2 ms.)
"""

from __future__ import annotations

import json
import os
from zlib import crc32

from verl_env.constraints import constraints_folder, read_bytes
from verl_env.locksets.errors import CatalogueMissingError, LocksetInvalidError
from verl_env.locksets.load import LOCKSET_FILE, folder_id, load_lockset, load_packages, lockset_from, parse_packages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from verl_env.locksets.model import Lockset, Package

COMPILED = "catalogue.json"
SEED = "seed.txt"
SCHEMA = 1


def load_catalogue(directory: Path | None = None) -> tuple[Lockset, ...]:
    """Every lockset under a directory, by id.

    Raises:
        CatalogueMissingError: there is none.
        LocksetInvalidError: one of them cannot be read; names file, key and reason.
    """
    root = constraints_folder() if directory is None else directory
    files = lockset_files(root)
    if not files:
        raise CatalogueMissingError(root)
    compiled = _compiled(os.path.join(root, COMPILED))  # noqa: PTH118 pathlib takes 3 ms to load
    locksets = []
    for name, file in files:
        entry = compiled.get(name)
        try:
            known = entry is not None and entry["crc32"] == crc32(read_bytes(file))
        except OSError as error:
            raise LocksetInvalidError(file, "", str(error.strerror)) from error
        locksets.append(lockset_from(entry["lockset"], file) if entry and known else load_lockset(file))
    return tuple(locksets)


def lockset_files(root: str | Path) -> list[tuple[str, str]]:
    """Id and path of every lockset.toml under a directory, by id."""
    files = []
    for family in _folders(root):
        for folder in _folders(family):
            file = os.path.join(folder, LOCKSET_FILE)  # noqa: PTH118 as above
            if os.path.exists(file):  # noqa: PTH110
                files.append((folder_id(file), file))
    return sorted(files)


def _folders(directory: str | Path) -> list[str]:
    """The folders in a directory; none where it cannot be listed."""
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir()]
    except OSError:
        return []


def _compiled(file: str) -> dict[str, dict[str, Any]]:
    """The entries of catalogue.json by lockset id; none where it is missing or of another form."""
    try:
        table = json.loads(read_bytes(file))
        entries = table["locksets"] if table["schema"] == SCHEMA else {}
        return {name: entry for name, entry in entries.items() if entry.keys() == {"crc32", "lockset"}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def packages_of(
    lockset: Lockset, python: str, directory: Path | None = None, *, verify: bool = True
) -> tuple[Package, ...]:
    """The packages of an environment of a lockset for one of its Pythons: its lock, and what every environment has.

    Args:
        lockset: The lockset.
        python: The Python, ``"3.10"``.
        directory: The folder of the locksets; None for that of ``constraints_folder``.
        verify: Whether the constraints file must be the one that the lockset was written with; what only shows a lock
            need not hash it.

    Raises:
        LockFileInvalidError: the constraints file cannot be read.
        LockFileChangedError: it is not the file that the lockset was written with.
        KeyError: the lockset has no lock for that Python.
    """
    lock = lockset.python(python)
    if lock is None:
        raise KeyError(python)
    root = constraints_folder() if directory is None else directory
    locked = load_packages(os.path.join(root, lockset.id), lock, verify=verify)  # noqa: PTH118
    names = {package.name for package in locked}
    return tuple(
        sorted((*locked, *(each for each in seed(root) if each.name not in names)), key=lambda package: package.name)
    )


def seed(root: str | Path) -> tuple[Package, ...]:
    """What every environment has besides its lock: pip. Nothing where a folder of locksets has no such file.

    Raises:
        LockFileInvalidError: the file is of another form.
    """
    file = os.path.join(root, SEED)  # noqa: PTH118
    try:
        content = read_bytes(file)
    except FileNotFoundError:
        return ()
    return parse_packages(content.decode(errors="replace"), file)
