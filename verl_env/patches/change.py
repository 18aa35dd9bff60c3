"""Puts the runtime distribution into an environment, and takes it out, as a change like any other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.environment.change import change, changeable
from verl_env.environment.state import read_state
from verl_env.errors import VerlEnvError
from verl_env.installers.base import Command
from verl_env.installers.choice import choose_installer
from verl_env.installers.isolation import installer_environment
from verl_env.installers.process import run
from verl_env.patches import carrier
from verl_env.patches.ask import interpreter, is_installed, site_packages
from verl_env.patches.errors import CarrierShadowedError, InstallFailedError, RuntimeMissingError
from verl_env.wheels.runtime import NAME, build, bytecode_command
from verl_env.wheels.stage import batch_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Literal

    from verl_env.environment.change import NewGeneration

    Carrier = Literal["pth", "sitecustomize"]


def apply(environment: Path, carried_by: Carrier = "pth", waiting: Callable[[str], None] = lambda _: None) -> None:
    """Installs the runtime, replacing one that is there, and compiles it: the hook is sixteen times dearer without.

    Raises:
        NoEnvironmentError: there is no environment.
        EnvironmentForeignError: it is the system's own.
        EnvironmentUnchangeableError: it cannot be changed as a whole.
        CarrierShadowedError: a sitecustomize was asked for, and would never run or would replace a foreign one.
        InstallFailedError: the installer failed.
    """
    interpreter(environment)
    chosen = carried_by == "sitecustomize"
    shadowed = None
    with change(changeable(environment), "patches apply", waiting=waiting) as new:
        _refuse_foreign(environment, chosen=chosen)
        renew(environment, new, chosen=chosen)
        taken = carrier.winner(new.path / "bin" / "python") if chosen else ""
        if chosen and not carrier.is_ours(taken):
            shadowed = taken
        else:
            new.commit()
    if shadowed is not None:
        apply(environment, waiting=waiting)
        raise CarrierShadowedError(environment, shadowed or "none at all", replaced=False)


def renew(environment: Path, new: NewGeneration, *, chosen: bool = False) -> None:
    """Makes a new generation with the runtime installed anew, and all else taken over.

    Raises:
        InstallFailedError: the installer failed.
    """
    new.begin_from_old()
    _install(environment, new, chosen=chosen)
    new.take_over()


def remove(environment: Path, waiting: Callable[[str], None] = lambda _: None) -> None:
    """Takes the runtime out; nothing of it stays.

    Raises:
        NoEnvironmentError: there is no environment.
        RuntimeMissingError: it is not installed.
        EnvironmentForeignError: it is the system's own.
        EnvironmentUnchangeableError: it cannot be changed as a whole.
    """
    interpreter(environment)
    with change(changeable(environment), "patches remove", waiting=waiting) as new:
        if not is_installed(environment):
            raise RuntimeMissingError(environment)
        new.begin_from_old()
        new.take_over(gone=[NAME])
        new.commit()


def _refuse_foreign(environment: Path, *, chosen: bool) -> None:
    site = site_packages(environment)
    found = carrier.foreign(site) if chosen and site is not None else None
    if found is not None:
        raise CarrierShadowedError(environment, str(found), replaced=True)


def _lockset(environment: Path) -> str:
    """The lockset of the environment, as the runtime that is there or the record of the installation says."""
    site = site_packages(environment)
    noted = site / "verl_env_runtime" / "lockset.txt" if site is not None else None
    if noted is not None and noted.is_file():
        return noted.read_text(encoding="utf-8").strip()
    state = read_state(environment)
    return state.lockset if state is not None else ""


def _install(environment: Path, new: NewGeneration, *, chosen: bool) -> None:
    site = site_packages(new.path)
    if site is None:
        raise InstallFailedError(environment, "it has no directory lib/python3.*/site-packages")
    wheel = build(_lockset(environment), new.stage)
    if chosen:
        carrier.add_carrier(wheel)
    try:
        _run(environment, choose_installer(None).install(new.path, batch_of(wheel, new.stage)[1]))
    except VerlEnvError as error:
        raise InstallFailedError(environment, error.message) from error
    _run(environment, Command(bytecode_command(new.path / "bin" / "python", site), installer_environment(os.environ)))


def _run(environment: Path, command: Command) -> None:
    done = run(command)
    if done.code != 0:
        raise InstallFailedError(environment, done.output.strip()[-2000:])
