"""pip: the tool's own, which runs with the interpreter of the environment; the environment itself gets none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.installers.base import Cache, Command
from verl_env.installers.isolation import installer_environment
from verl_env.places import user_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.installers.base import Batch, Source
    from verl_env.locksets.target import LockTarget


class Pip:
    """The pip that is installed beside verl-env; ``path`` is its package, which an interpreter runs as a program."""

    name = "pip"

    def __init__(self, version: str, path: str = "") -> None:
        self.version = version
        self.path = path

    def make_environment(self, path: Path, interpreter: str, prompt: str) -> Command:
        # -I: no module of the user's can shadow venv.
        return _command(interpreter, "-I", "-m", "venv", "--without-pip", "--prompt", prompt, str(path))

    def install(self, environment: Path, batch: Batch) -> Command:
        # Bytecode is left to the first import, as uv leaves it: compiling all of it takes longer than installing.
        arguments = [] if batch.dependencies else ["--no-deps"]
        arguments += ["--no-cache-dir"] if batch.fresh else []
        arguments += ["--constraint", str(batch.constraints)] if batch.constraints else []
        arguments += ["--no-compile", "--no-warn-script-location", "--no-binary", ":none:"]
        arguments += ["--only-binary", ":all:" if batch.wheels_only else ":none:", "--ignore-installed"]
        arguments += ["--require-hashes"] if batch.hashes else []
        arguments += ["--build-constraint", str(batch.build_constraints)] if batch.build_constraints else []
        arguments += [] if batch.isolated else ["--no-build-isolation"]
        arguments += ["--no-index"] if batch.source.offline else []
        arguments += batch.source.found
        pip = pip_of(environment / "bin" / "python")
        return _command(*pip, "install", *arguments, "--requirement", str(batch.requirements))

    def resolve(self, environment: Path, arguments: Sequence[str], report: Path) -> Command:
        pip = pip_of(environment / "bin" / "python")
        return _command(*pip, "install", "--no-color", "--report", str(report), "--dry-run", *arguments)

    def cache_for(self, place: Path) -> Cache:
        del place
        if os.environ.get("PIP_NO_CACHE_DIR"):
            return Cache(None, linked=False)
        return Cache(Path(os.environ.get("PIP_CACHE_DIR") or user_directory("XDG_CACHE_HOME") / "pip"), linked=False)


def pip_of(python: Path | None) -> tuple[str, ...]:
    """The words that start verl-env's pip for an interpreter; None for that of this process."""
    return (sys.executable, "-m", "pip", *(("--python", str(python)) if python else ()))


def build_command(python: Path, verb: str, source: Source, arguments: Sequence[str]) -> tuple[str, ...]:
    """The words of a pip that builds: no isolation, no dependencies, no results of other environments."""
    common = ["--no-deps", "--no-build-isolation", "--no-cache-dir", "--disable-pip-version-check", "-v"]
    common += ["--no-index"] if source.offline else []
    return (*pip_of(python), verb, *common, *source.found, *arguments)


def resolve_elsewhere(target: LockTarget, report: Path, constraints: Path, requirements: Sequence[str]) -> Command:
    """Says as JSON in ``report`` which wheels requirements come to on another machine, and does nothing."""
    platforms = dict.fromkeys(tag.platform for tag in target.tags if tag.platform != "any")
    arguments = ["--dry-run", "--quiet", "--ignore-installed", "--no-cache-dir", "--only-binary", ":all:"]
    arguments += ["--report", str(report), "--target", str(report.with_name("target"))]
    arguments += ["--implementation", "cp", "--python-version", target.python]
    arguments += [word for platform in platforms for word in ("--platform", platform)]
    return _command(*pip_of(None), "install", *arguments, "--constraint", str(constraints), *requirements)


def passed_on(python: str, command: str, words: Sequence[str]) -> tuple[str, ...]:
    """The words of a command of pip for an interpreter, with the user's own arguments."""
    # By its path: -m would take a pip of the current directory or of PYTHONPATH.
    return (sys.executable, find_pip().path, "--python", python, command, *words)


def find_pip() -> Pip:
    """The pip that verl-env depends on."""
    import pip  # noqa: PLC0415

    return Pip(pip.__version__, str(Path(pip.__file__).parent))


def _command(*argv: str) -> Command:
    return Command(argv, installer_environment(os.environ))
