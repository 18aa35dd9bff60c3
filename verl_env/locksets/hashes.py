"""The hashes of the locks that are there, made anew from the index: no step is resolved, every pin stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from verl_env import records
from verl_env.locksets.errors import FileMissingError
from verl_env.locksets.index import takeable
from verl_env.locksets.load import LOCKSET_FILE, load_lockset, load_packages, read_toml
from verl_env.locksets.make import lockset_files
from verl_env.locksets.target import LockTarget
from verl_env.locksets.write import LEAST_GLIBC

if TYPE_CHECKING:
    from verl_env.locksets.index import Index, IndexFile
    from verl_env.locksets.model import Package
    from verl_env.locksets.recipe import LocksetRecipe


@dataclass
class Hashes:
    """Hashes as an index gives them; what it said of a release is kept for all locks."""

    index: Index
    _releases: dict[tuple[str, str], tuple[IndexFile, ...]] = field(default_factory=dict)

    def files(self, recipe: LocksetRecipe) -> dict[str, str]:
        """The files of a lockset by name, as ``make_lockset`` gives them, with the pins that are there.

        No files where it was never locked.

        Raises:
            FileMissingError: the index has no file of a pin that the target takes.
            IndexUnreachableError: the index cannot be read.
            LockFileInvalidError: a lock cannot be read.
            LocksetInvalidError: lockset.toml cannot be read.
        """
        folder = recipe.file.parent
        if not (folder / LOCKSET_FILE).is_file():
            return {}
        packages = {
            lock.python: [
                self._anew(recipe, lock.python, package) for package in load_packages(folder, lock, verify=False)
            ]
            for lock in load_lockset(folder / LOCKSET_FILE).pythons
        }
        return lockset_files(recipe, packages, read_toml(folder / LOCKSET_FILE).get("pythons", []))

    def _anew(self, recipe: LocksetRecipe, python: str, package: Package) -> Package:
        """A package with the hash of every file that may be taken.

        Those are files of the earliest time that its step can have had, and later ones that the lock names already.
        A hash of which the index has no file stays: a mirror may have it.
        """
        if package.url:
            return package
        files = self._release(package.name, package.version)
        date = _earliest(recipe, package.name)
        named = {digest.removeprefix("sha256:") for digest in package.hashes}
        known = [file for file in files if file.sha256 in named or not file.uploaded or file.uploaded < date]
        found = takeable(known, LockTarget(python, recipe.arch, recipe.glibc), recipe.glibc_minimum or LEAST_GLIBC)
        if not found:
            raise FileMissingError(package.name, package.version, f"Python {python}, {recipe.arch}")
        gone = named - {file.sha256 for file in files}
        hashes = {*gone, *(file.sha256 for file in found if file.sha256)}
        return records.replace(package, hashes=tuple(sorted(f"sha256:{digest}" for digest in hashes)))

    def _release(self, name: str, version: str) -> tuple[IndexFile, ...]:
        if (name, version) not in self._releases:
            self._releases[name, version] = self.index.release(name, version)
        return self._releases[name, version]


def _earliest(recipe: LocksetRecipe, name: str) -> str:
    """The earliest time that a package of a recipe can be of."""
    own = [other.date for other in recipe.dates if canonicalize_name(other.name) == name]
    return min(own or [recipe.date, *(step.date for step in recipe.steps if step.date)])
