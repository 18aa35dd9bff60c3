"""Assembles a packed prefix out of an environment: packages, scripts and bytecode, beside the interpreter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from verl_env.bundle.packing.errors import PackImpossibleError
from verl_env.environment.files import link_or_copy, rewrite_bytes
from verl_env.environment.installed import installed

if TYPE_CHECKING:
    from pathlib import Path

#: What uv writes into scripts of relocatable environments: no length limit, no path.
_HEAD = b"""#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
"""
_SHEBANG = re.compile(rb"#!(/[^\n]*)\n")
_TRAMPOLINE = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n")
#: What of an environment's ``bin`` is not of its packages.
_OF_VENV = re.compile(r"python[\d.]*|activate.*|deactivate.*|pydoc\.bat|Activate\.ps1")


def copy_packages(environment: Path, python: str, prefix: Path) -> None:
    """Copies the packages of an environment, by hard links where they work, and its scripts without paths.

    Raises:
        PackImpossibleError: a package lies elsewhere.
    """
    site = environment / "lib" / f"python{python}" / "site-packages"
    _check_editable(environment, site)
    ignore = shutil.ignore_patterns("__pycache__")
    to = prefix / "lib" / f"python{python}" / "site-packages"
    shutil.copytree(site, to, symlinks=True, ignore=ignore, copy_function=_link)
    _bring_along(to)
    for folder in ("share", "etc"):
        if (environment / folder).is_dir():
            shutil.copytree(environment / folder, prefix / folder, symlinks=True, copy_function=_link)
    for path in sorted((environment / "bin").iterdir()):
        if not _OF_VENV.fullmatch(path.name) and not (prefix / "bin" / path.name).exists():
            _copy_script(path, prefix / "bin" / path.name)
    for name in ("verl-env.json",):
        if (environment / name).is_file():
            shutil.copy2(environment / name, prefix / name)


def compile_all(prefix: Path, python: str, jobs: int) -> None:
    """Compiles everything; the bytecode does not ask for times, which a mount may change."""
    command = [str(prefix / "bin" / f"python{python}"), "-I", "-m", "compileall", "-q", "-q", "-j", str(jobs)]
    command += ["--invalidation-mode", "unchecked-hash", str(prefix / "lib" / f"python{python}")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Some packages carry files for other Pythons, which do not compile: that they fail says nothing.
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _check_editable(environment: Path, site: Path) -> None:
    """Refuses packages that lie elsewhere."""
    name = next((each.name for each in installed(site).values() if each.editable), None)
    if name is not None:
        hint = f"install {name} for good: verl-env pip install DIRECTORY, without -e"
        raise PackImpossibleError(environment, f"{name} is a checkout elsewhere (editable)", hint)


def _link(source: str, destination: str) -> None:
    if os.path.islink(source):  # noqa: PTH114 (called for each of 50,000 files)
        os.symlink(os.readlink(source), destination)  # noqa: PTH115, PTH211
    else:
        link_or_copy(source, destination)


def _bring_along(site: Path) -> None:
    """Puts files in the place of links that lead away: what a site provides is not in the pack."""
    for folder, _, names in os.walk(site):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 (50,000 files)
            if os.path.islink(path) and os.path.isabs(target := os.readlink(path)):  # noqa: PTH114, PTH115, PTH117
                os.unlink(path)  # noqa: PTH108
                shutil.copy2(target, path)


def _copy_script(source: Path, to: Path) -> None:
    """Copies a program; a Python script starts the interpreter beside it, wherever that is."""
    if source.is_symlink() or not source.is_file():
        return
    shutil.copy2(source, to)
    content = to.read_bytes()
    body = _TRAMPOLINE.match(content) or _SHEBANG.match(content)
    if body is not None and b"python" in content[: body.end()]:
        rewrite_bytes(to, _HEAD + content[body.end() :])
