"""``verl-env lock``: from recipes to files, or the check that the files are what the recipes give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.constraints import constraints_directory
from verl_env.locksets.catalogue import COMPILED
from verl_env.locksets.errors import LockFileChangedError, LockFileInvalidError, UnknownLocksetError
from verl_env.locksets.hashes import Hashes
from verl_env.locksets.load import LOCKSET_FILE, load_lockset, load_packages, parse_packages, read_toml
from verl_env.locksets.make import catalogue_text, lockset_text, make_lockset
from verl_env.locksets.recipe import load_recipe, recipe_files
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from verl_env.locksets.index import Index
    from verl_env.locksets.model import PythonLock
    from verl_env.locksets.recipe import LocksetRecipe
    from verl_env.locksets.replay import MakeResolver


@record
class LockOutcome:
    """What one recipe gives: the texts of its files by name, and how the files that were there differ."""

    id: str
    files: Mapping[str, str]
    differences: tuple[str, ...]


def lock(
    ids: Sequence[str],
    *,
    check: bool = False,
    hashes: bool = False,
    directory: Path | None = None,
    index: Index,
    resolver: MakeResolver,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[LockOutcome, ...]:
    """Makes locksets from their recipes.

    Args:
        ids: which ones, by id or its last part; none means all.
        check: write nothing, only compare.
        hashes: resolve nothing: only the hashes of what is pinned are made anew.
        directory: the folder of the locksets; that of the checkout where left out.
        index: where packages come from.
        resolver: resolves the steps of a recipe (``installers.step_resolver``).
        say: told of every step.

    Raises:
        UnknownLocksetError: an id has no recipe.
        LocksetInvalidError: a recipe cannot be read.
        RecipeMismatchError: and the other errors of ``make_lockset``.
    """
    root = directory or constraints_directory()
    recipes = select(ids, [load_recipe(file) for file in recipe_files(root)])
    known = Hashes(index)
    outcomes = []
    for recipe in recipes:
        files = known.files(recipe) if hashes else make_lockset(recipe, index, resolver, say)
        outcomes.append(LockOutcome(recipe.id, files, tuple(differences(recipe.file.parent, files))))
        if not check:
            write_lockset(recipe.file.parent, files)
    if not check:
        _write(root / COMPILED, catalogue_text(root))
    return tuple(outcomes)


def refresh(directory: Path | None = None) -> None:
    """Writes what needs no index: each lockset.toml from recipe, evidence and the locks that are there; the catalogue.

    Raises:
        LocksetInvalidError: a file cannot be read.
    """
    root = directory or constraints_directory()
    for recipe in map(load_recipe, recipe_files(root)):
        file = recipe.file.parent / LOCKSET_FILE
        if file.is_file():
            _write(file, lockset_text(recipe, read_toml(file).get("pythons", [])))
    _write(root / COMPILED, catalogue_text(root))


def select(ids: Sequence[str], recipes: Sequence[LocksetRecipe]) -> list[LocksetRecipe]:
    """The recipes that are asked for, in their order.

    Raises:
        UnknownLocksetError: an id is that of none, or its last part is that of several.
    """
    chosen = set()
    for wanted in ids:
        found = [recipe.id for recipe in recipes if wanted in {recipe.id, recipe.id.rpartition("/")[2]}]
        if len(found) != 1:
            raise UnknownLocksetError(wanted, [recipe.id for recipe in recipes])
        chosen.update(found)
    return [recipe for recipe in recipes if not ids or recipe.id in chosen]


def differences(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    """How the files of a folder differ from the texts they should be: packages by name, other files as a whole."""
    for name, text in sorted(files.items()):
        file = folder / name
        there = file.read_text() if file.is_file() else None
        if there == text:
            continue
        yield f"{name} is missing" if there is None else f"{name} differs"
        if there is not None and name.startswith("py"):
            yield from _package_differences(name, there, text, file)
    for stray in sorted(file.name for file in folder.glob("py*.txt") if file.name not in files):
        yield f"{stray} belongs to no Python of the recipe"


def _package_differences(name: str, there: str, text: str, file: Path) -> Iterator[str]:
    old = {package.name: package for package in parse_packages(there, file)}
    new = {package.name: package for package in parse_packages(text, file)}
    for package in sorted(old.keys() | new.keys()):
        before, after = old.get(package), new.get(package)
        if before is None and after is not None:
            yield f"{name}: + {package} {after.version}"
        elif after is None and before is not None:
            yield f"{name}: - {package} {before.version}"
        elif before and after and before.version != after.version:
            yield f"{name}: ~ {package} {before.version} -> {after.version}"
        elif before and after and set(before.hashes) != set(after.hashes):
            lost, found = set(before.hashes) - set(after.hashes), set(after.hashes) - set(before.hashes)
            yield f"{name}: ~ {package} {after.version}: {len(lost)} of its files are gone, {len(found)} are new"
        elif before != after:
            yield f"{name}: ~ {package} {after and after.version}: another source, size or upload time"


def check_offline(directory: Path | None = None) -> tuple[LockOutcome, ...]:
    """The part of the check that needs no index: what the files say of each other.

    lockset.toml must be what recipe and locks give, each lock must be the one that lockset.toml was written with, and
    catalogue.json must hold what the lockset.toml files say.

    Raises:
        LocksetInvalidError: a recipe or lockset cannot be read.
    """
    root = directory or constraints_directory()
    outcomes = [_outcome_offline(load_recipe(file)) for file in recipe_files(root)]
    compiled = root / COMPILED
    stale = not compiled.is_file() or compiled.read_text() != catalogue_text(root)
    found = (f"{COMPILED} is not what the lockset.toml files give",) if stale else ()
    return (*outcomes, LockOutcome(COMPILED, {}, found))


def _outcome_offline(recipe: LocksetRecipe) -> LockOutcome:
    folder = recipe.file.parent
    file = folder / LOCKSET_FILE
    if not file.is_file():
        return LockOutcome(recipe.id, {}, (f"{LOCKSET_FILE} is missing",))
    text = lockset_text(recipe, read_toml(file).get("pythons", []))
    found = [] if file.read_text() == text else [f"{LOCKSET_FILE} differs"]
    found += [message for lock in load_lockset(file).pythons if (message := _broken(folder, lock))]
    return LockOutcome(recipe.id, {}, tuple(found))


def _broken(folder: Path, lock: PythonLock) -> str | None:
    """What is wrong with a constraints file; None where it is as its lockset says."""
    try:
        load_packages(folder, lock)
    except (LockFileChangedError, LockFileInvalidError) as error:
        return error.message
    return None


def write_lockset(folder: Path, files: Mapping[str, str]) -> None:
    """Writes the files of a lockset, and removes locks of Pythons that are no longer wanted."""
    for name, text in files.items():
        _write(folder / name, text)
    for stray in folder.glob("py*.txt"):
        if stray.name not in files:
            stray.unlink()


def _write(file: Path, text: str) -> None:
    """Writes a file in one step."""
    draft = file.with_name(f".{file.name}.draft")
    draft.write_text(text)
    draft.replace(file)
