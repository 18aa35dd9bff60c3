"""Puts the runtime distribution into an environment, and takes it out, with uv or pip like any other."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.install.backends.base import Command
from verl_env.install.backends.isolation import installer_environment
from verl_env.install.backends.uv import find_uv
from verl_env.install.process import run
from verl_env.install.runtime_wheel import NAME, build
from verl_env.install.state import read_state
from verl_env.patches import carrier
from verl_env.patches.ask import interpreter, is_installed, site_packages
from verl_env.patches.errors import CarrierShadowed, InstallFailed, RuntimeMissing

if TYPE_CHECKING:
    from typing import Literal

    Carrier = Literal["pth", "sitecustomize"]


_PIP = (sys.executable, "-m", "pip")


def apply(environment: Path, carried_by: Carrier = "pth") -> None:
    """Installs the runtime, replacing one that is there, and compiles it: the hook is sixteen times dearer without.

    Raises:
        NoEnvironment: there is no environment.
        CarrierShadowed: a sitecustomize was asked for, and would never run or would replace a foreign one.
        InstallFailed: the installer failed.
    """
    python = interpreter(environment)
    chosen = carried_by == "sitecustomize"
    _refuse_foreign(environment, chosen=chosen)
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(_lockset(environment), Path(folder))
        if chosen:
            carrier.add_carrier(wheel)
        _install(environment, python, str(wheel))
    if not chosen:
        return
    taken = carrier.winner(python)
    if not carrier.is_ours(taken):
        apply(environment)
        raise CarrierShadowed(environment, taken or "none at all", replaced=False)


def remove(environment: Path) -> None:
    """Uninstalls the runtime; nothing of it stays.

    Raises:
        NoEnvironment: there is no environment.
        RuntimeMissing: it is not installed.
        InstallFailed: the installer failed.
    """
    python = interpreter(environment)
    if not is_installed(environment):
        raise RuntimeMissing(environment)
    uv = find_uv()
    if uv is not None:
        _run(environment, uv.executable, "pip", "uninstall", "--python", str(python), NAME)
    else:
        _run(environment, *_PIP, "--python", str(python), "uninstall", "--yes", NAME)
    _remove_bytecode(environment)


def _remove_bytecode(environment: Path) -> None:
    """Uninstalling with uv leaves the bytecode of top-level modules, which no RECORD lists."""
    site = site_packages(environment)
    if site is None:
        return
    gone = [module for module in ("_verl_env_boot", "sitecustomize") if not (site / f"{module}.py").exists()]
    for path in [path for module in gone for path in (site / "__pycache__").glob(f"{module}.*.pyc")]:
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (site / "__pycache__").rmdir()


def _refuse_foreign(environment: Path, *, chosen: bool) -> None:
    site = site_packages(environment)
    found = carrier.foreign(site) if chosen and site is not None else None
    if found is not None:
        raise CarrierShadowed(environment, str(found), replaced=True)


def _lockset(environment: Path) -> str:
    """The lockset of the environment, as the runtime that is there or the record of the installation says."""
    site = site_packages(environment)
    noted = site / "verl_env_runtime" / "lockset.txt" if site is not None else None
    if noted is not None and noted.is_file():
        return noted.read_text(encoding="utf-8").strip()
    state = read_state(environment)
    return state.lockset if state is not None else ""


def _install(environment: Path, python: Path, wheel: str) -> None:
    uv = find_uv()
    common = ("--no-deps", "--no-index", wheel)
    if uv is not None:
        options = ("--reinstall", "--compile-bytecode", "--no-cache", "--link-mode", "copy")
        _run(environment, uv.executable, "pip", "install", "--python", str(python), *options, *common)
    else:
        _run(environment, *_PIP, "--python", str(python), "install", "--force-reinstall", "--compile", *common)


def _run(environment: Path, *argv: str) -> None:
    done = run(Command(argv, installer_environment(os.environ)))
    if done.code != 0:
        raise InstallFailed(environment, done.output.strip()[-2000:])
