"""uv as the resolver of single steps, against an environment that holds nothing but metadata."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import tomli_w
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from verl_env.locksets.errors import ReplayError, UvMissingError
from verl_env.locksets.replay import StepChange
from verl_env.uv_program import uv_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from verl_env.locksets.recipe import LocksetRecipe, RecipeStep
    from verl_env.locksets.target import LockTarget

#: Of uv's own variables only those that say how an index is reached; every other one would change the result.
_KEPT = ("UV_INDEX", "UV_CACHE_DIR", "UV_HTTP", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_INSECURE_HOST", "UV_KEYRING")
_CHANGE = re.compile(r"^ (?P<sign>[-+~]) (?P<name>[^=@ ]+)(?:==(?P<version>\S+))?", re.MULTILINE)


class UvResolver:
    """uv with the settings of one recipe, in a throw-away directory.

    Args:
        directory: the throw-away directory; the environment is made in it.
        recipe: gives date, overrides and the requirements of source distributions.
        target: what to resolve for.
        index: the address of the index.

    Raises:
        UvMissingError: there is no uv.
    """

    def __init__(self, directory: Path, recipe: LocksetRecipe, target: LockTarget, index: str) -> None:
        program = uv_program()
        if program is None:
            raise UvMissingError
        self._program = program
        self._directory = directory
        self._recipe = recipe
        self._target = target
        self._index = index
        self.site_packages = self._make_environment()
        self._settings = self._write_settings()

    def resolve(self, step: RecipeStep, requirements: Sequence[str]) -> tuple[StepChange, ...]:
        """What installing requirements as a step does would change.

        Raises:
            ReplayError: they cannot be resolved.
        """
        names = [canonicalize_name(Requirement(line).name) for line in requirements]
        arguments = [
            *("pip", "install", "--dry-run", "--no-progress", "--color", "never"),
            *("--python", str(self._directory / "venv")),
            *("--python-version", self._target.python_full, "--python-platform", self._target.uv_platform),
            *("--exclude-newer", step.date or self._recipe.date),
            *("--default-index", step.index_url or self._index),
            *self._settings,
        ]
        arguments += [f"--find-links={place}" for place in step.find_links]
        arguments += [f"--upgrade-package={name}" for name in names if step.upgrade]
        arguments += ["--no-deps"] if step.no_deps else []
        done = self._run([*arguments, "--", *requirements])
        if done.returncode:
            raise ReplayError(f"{self._recipe.id}, Python {self._target.python}, {step.title}", done.stderr)
        return parse_changes(done.stderr)

    def _make_environment(self) -> Path:
        """An empty environment; its interpreter is never run for a package."""
        done = self._run(["venv", "--no-project", "--python", sys.executable, str(self._directory / "venv")])
        if done.returncode:
            raise ReplayError("making a throw-away environment", done.stderr)
        return next((self._directory / "venv" / "lib").glob("python*")) / "site-packages"

    def _write_settings(self) -> list[str]:
        """The options that hold for every step, and the files they name."""
        recipe = self._recipe
        # uv reads uv.toml of the directory it runs in and merges the user's own into it.
        tables = [
            {"name": sdist.name, "version": sdist.version, "requires-dist": list(sdist.requires)}
            for sdist in recipe.sdists
        ]
        (self._directory / "uv.toml").write_text(tomli_w.dumps({"dependency-metadata": tables} if tables else {}))
        options = ["--only-binary=:all:"]
        for option, lines in (
            ("--overrides", [override.requirement for override in recipe.overrides]),
            ("--excludes", [exclude.name for exclude in recipe.excludes]),
        ):
            file = self._directory / f"{option[2:]}.txt"
            file.write_text("\n".join(lines))
            options += [option, str(file)] if lines else []
        options += [f"--no-binary={name}" for name in sorted({sdist.name for sdist in recipe.sdists})]
        options += [f"--prerelease-package={name}=allow" for name in recipe.prereleases]
        options += [f"--exclude-newer-package={other.name}={other.date}" for other in recipe.dates]
        return options

    def _run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *arguments],
            cwd=self._directory,
            env=_environment(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )


def parse_changes(output: str) -> tuple[StepChange, ...]:
    """The changes that a dry run of uv prints; a reinstallation (``~``) changes nothing.

    Raises:
        ReplayError: a package comes without a version.
    """
    changes = []
    for found in _CHANGE.finditer(output):
        if found["sign"] == "~":
            continue
        if not found["version"]:
            raise ReplayError("reading what uv would change", found[0])
        changes.append(StepChange(found["sign"], canonicalize_name(found["name"]), found["version"]))
    return tuple(changes)


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: the inherited one without what would change a resolution."""
    return {
        name: value
        for name, value in inherited.items()
        if name != "VIRTUAL_ENV" and (not name.startswith("UV_") or name.startswith(_KEPT))
    }
