"""An environment that verl-env made, opened to add to it or to run something in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.additions.errors import NOTHING_THERE, NotMadeHereError
from verl_env.environment.pins import constraint_address, links_address, read_pins
from verl_env.environment.state import read_state
from verl_env.environment.target import Target
from verl_env.environment.wheelhouse import FOLDER
from verl_env.records import record
from verl_env.wheels.runtime import NAME as RUNTIME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.environment.state import State


@record
class Opened:
    """An environment: its place, the generation in force, its record, and the pins of its lockset."""

    target: Target
    generation: Path
    state: State
    pins: Mapping[str, str]


def open_environment(path: Path) -> Opened:
    """The environment at a path.

    Raises:
        NotMadeHereError: verl-env did not make it.
    """
    target = Target(path.absolute())
    generation = target.current()
    state = None if generation is None else read_state(generation)
    if generation is None or state is None:
        raise NotMadeHereError(target.path, _found(target.path))
    return Opened(target, generation, state, _pins(generation, state))


def base_interpreter(generation: Path) -> str:
    """The Python that a generation was made from: an environment that is made from one outlives it."""
    return os.path.realpath(generation / "bin" / "python")


def run_variables(opened: Opened, user: Mapping[str, str]) -> dict[str, str]:
    """The variables of a command in an environment: as in an activated shell, with those of the lockset.

    A variable that the user has set wins over that of the lockset. uv is told the constraints and the wheels. A pip
    from outside, which would install where it comes from, is told the interpreter, and so finds the pip.conf.
    """
    path = opened.target.path
    env = {name: value for name, value in user.items() if name not in {"PYTHONHOME", "VIRTUAL_ENV_PROMPT"}}
    ours = {"PATH": _first(str(path / "bin"), user.get("PATH", os.defpath), os.pathsep), "VIRTUAL_ENV": str(path)}
    ours["UV_CONSTRAINT"] = _first(constraint_address(path), user.get("UV_CONSTRAINT"), " ")
    if (path / FOLDER).is_dir():
        ours["UV_FIND_LINKS"] = _first(links_address(path), user.get("UV_FIND_LINKS"), ",")
        if "PIP_FIND_LINKS" in user:  # it would replace what pip.conf says
            ours["PIP_FIND_LINKS"] = _first(links_address(path), user["PIP_FIND_LINKS"], " ")
    more = {}
    if not (path / "bin" / "pip").exists():
        more["PIP_PYTHON"] = str(path / "bin" / "python")
    return {**opened.state.env, **more, **env, **ours}


def _first(own: str, others: str | None, separator: str) -> str:
    """A list with our part first, and once: a module file or an activated shell may have put it there."""
    parts = [part for part in (others or "").split(separator) if part != own]
    return separator.join([own, *parts]) if others else own


def own_values(opened: Opened, user: Mapping[str, str]) -> dict[str, str]:
    """The variables of the lockset for which the user has set another value, with that value."""
    return {name: user[name] for name, value in opened.state.env.items() if user.get(name, value) != value}


def _found(path: Path) -> str:
    if not os.path.lexists(path):
        return NOTHING_THERE
    if (path / "pyvenv.cfg").is_file():
        return "a virtual environment"
    return "a directory" if path.is_dir() else "a file"


def _pins(generation: Path, state: State) -> dict[str, str]:
    """The pins that are written in the environment; for one of before they were, those of its lockset."""
    written = read_pins(generation)
    if written is not None:
        return written
    from verl_env.locksets.catalogue import load_catalogue, packages_of  # noqa: PLC0415

    lockset = next((each for each in load_catalogue() if each.id == state.lockset), None)
    if lockset is None or lockset.python(state.python) is None:
        return {}
    pins = {package.name: package.version for package in packages_of(lockset, state.python, verify=False)}
    pins |= {native.name: native.version for native in lockset.natives if native.name not in state.left_out}
    from verl_env.environment.installed import installed, site_packages  # noqa: PLC0415

    have = installed(site_packages(generation, state.python))
    return {name: pins[name] for name in sorted(pins) if name in have and not have[name].editable and name != RUNTIME}
