"""``verl-env lock --record``: an environment that was made, or a proof, becomes data beside its lockset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.constraints import constraints_directory
from verl_env.environment.installed import installed, site_packages
from verl_env.environment.state import read_state
from verl_env.errors import UsageError
from verl_env.locksets.evidence import add_install, add_proof
from verl_env.locksets.locking import select
from verl_env.locksets.recipe import load_recipe, recipe_files
from verl_env.reading import json_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from verl_env.environment.state import State
    from verl_env.locksets.recipe import LocksetRecipe

_HELP = "verl-env lock --help"


def record(subject: Path, seen: str | None) -> Path:
    """Writes what an environment's own record or a document of ``verl-env verify`` says; returns the file.

    Args:
        subject: An environment, or the file that ``verl-env verify -o`` wrote.
        seen: The place in the documentation that tells of the installation.

    Raises:
        UsageError: it is neither, its checks did not run, or ``seen`` is missing.
        UnknownLocksetError: it is of a lockset that has no recipe.
    """
    if subject.is_file():
        document = _document(subject)
        return add_proof(_recipe(str(document.get("lockset"))).file.parent, document)
    state = read_state(subject)
    if state is None:
        raise UsageError(f"{subject} is no environment of verl-env and no document of verl-env verify", command=_HELP)
    if not state.checks:
        raise UsageError(f"no check of {subject} has run; an installation counts with its checks", command=_HELP)
    if not seen:
        raise UsageError("--record ENV goes with --seen PLACE: where the documentation tells of it", command=_HELP)
    recipe = _recipe(state.lockset)
    return add_install(recipe.file.parent, install_entry(subject, state, recipe, seen))


def install_entry(environment: Path, state: State, recipe: LocksetRecipe, seen: str) -> dict[str, Any]:
    """The entry of an environment: its day, its Python, and which native components of the lockset are in it."""
    there = installed(site_packages(environment, state.python))
    names = [native["name"] for native in recipe.identity.get("natives", ())]
    natives = {name: there[name].version for name in names if name in there}
    entry = {"date": state.made[:10], "python": state.python, "seen": seen, "left_out": sorted(state.left_out)}
    return {**entry, "note": f"--stack {state.stack}", **({"natives": natives} if natives else {})}


def _recipe(name: str) -> LocksetRecipe:
    recipes = [load_recipe(file) for file in recipe_files(constraints_directory())]
    return select([name], recipes)[0]


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json_of(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}", command=_HELP) from error
    if not isinstance(document, dict) or not {"lockset", "python", "parts", "packages", "date"} <= document.keys():
        raise UsageError(
            f"{file} is no document of verl-env verify (verl-env verify -o FILE writes one)", command=_HELP
        )
    return document
