"""What a module does, whichever language it is written in: the same variables that ``verl-env run`` sets."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import verl_env
from verl_env.additions.environment import open_environment, run_variables
from verl_env.bundle.packing.model import read_pack
from verl_env.bundle.packing.running import packed_variables
from verl_env.environment.state import read_state
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.environment.state import State

#: Stands for the home of who loads a module, at the beginning of a value.
HOME = "~"
#: A home that no path of an environment begins with, while the variables are worked out.
_NOBODY = "/nobody-of-verl-env"


@record
class Module:
    """A module: its name and version, the directory put before PATH, variables, and where it comes from.

    A value that begins with ``~/`` is below the home of who loads it.
    """

    name: str
    version: str
    path: str
    variables: Mapping[str, str]
    whatis: tuple[str, ...]


def module_of(environment: Path, name: str = "verl") -> Module:
    """The module of an environment or of a packed prefix.

    Args:
        environment: Where it is, and where those who load the module will find it.
        name: The name of the module; no two of one name are loaded at once.

    Raises:
        NotMadeHereError: verl-env did not make it.
    """
    place = environment.absolute()
    packed = read_pack(place)
    user = {"HOME": _NOBODY, "XDG_CACHE_HOME": f"{_NOBODY}/.cache", "PATH": ""}
    if packed is not None and (found := read_state(place)) is not None:
        state, env = found, packed_variables(place, user)
    else:
        opened = open_environment(environment)
        state, env = opened.state, run_variables(opened, user)
    variables = {key: value.replace(_NOBODY, HOME) for key, value in sorted(env.items()) if key not in user}
    variables.setdefault("PYTHONNOUSERSITE", "1")
    return Module(
        name,
        state.lockset.removeprefix("verl").replace("/", "-"),
        os.fspath(place / "bin"),
        variables,
        _words(state, place),
    )


def closed_at(environment: Path) -> Path | None:
    """What keeps other users from an environment: the first directory above it or its Python that they may not enter.

    A Python below somebody's home, as pyenv and uv put it there, is the usual one.
    """
    parts = [environment.absolute(), Path(os.path.realpath(environment / "bin" / "python"))]
    for part in (above for path in parts for above in (*reversed(path.resolve().parents), path.resolve())):
        if part.exists() and not part.stat().st_mode & stat.S_IXOTH:
            return part
    return None


def _words(state: State, place: Path) -> tuple[str, ...]:
    """Where it comes from, one fact a line."""
    return (
        f"Name: verl with {state.stack}",
        f"Lockset: {state.lockset}, Python {state.python}",
        f"Place: {place}",
        f"Made by verl-env {state.tool or verl_env.__version__}{f' on {state.made}' if state.made else ''}",
    )
