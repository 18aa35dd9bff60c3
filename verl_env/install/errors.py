"""What can be wrong before anything is installed: the target, the wishes, what is missing on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.install.fitness import Misfit


class VerlSourceInvalidError(VerlEnvError):
    """``--verl-source`` is no checkout of verl: it holds no ``verl`` package and no build file of it."""

    id = "verl-source-invalid"
    exit_code = EXIT_MISUSE
    path: Path
    reason: str
    says = "{path} is no checkout of verl: {reason}"
    helps = "give the root of a clone of verl, the directory that holds setup.py or pyproject.toml"


class WheelhouseInvalidError(VerlEnvError):
    """``--wheelhouse`` names neither a bundle nor a directory with wheels, or ``--offline`` with pip names none."""

    id = "wheelhouse-invalid"
    exit_code = EXIT_MISUSE
    path: Path | None
    reason: str = ""

    @property
    def message(self) -> str:
        if self.path is None:
            return "--offline with pip needs the directory that holds the wheels"
        return f"the wheelhouse {self.path} is {self.reason}"

    @property
    def hint(self) -> str:
        if self.path is None:
            return "verl-env install --offline --wheelhouse DIR ..."
        return "name a bundle (verl-env bundle --stack S -o DIR makes one) or a directory that holds wheels"


class MachineMisfitError(VerlEnvError):
    """A machine that cannot run what was planned for another one: for each requirement what it needs and what is here.

    Where only the GPUs or their driver do not fit, ``verl-env run --any-machine`` starts a command all the same.
    """

    id = "machine-misfit"
    path: Path
    misfits: Sequence[Misfit]
    way_on: str
    helps = "{way_on}"

    @property
    def message(self) -> str:
        return f"{self.path} does not fit this machine: {'; '.join(misfit.text for misfit in self.misfits)}"

    def to_json(self) -> dict[str, Any]:
        return {**VerlEnvError.to_json(self), "misfits": [misfit.to_json() for misfit in self.misfits]}


class ArchitectureMismatchError(VerlEnvError):
    """The plan is for a machine of another processor architecture than the host that should install it.

    A plan for another machine can be shown anywhere; it must be installed on a machine of that kind.
    """

    id = "architecture-mismatch"
    planned: str
    host: str
    says = "the plan is for {planned}, and this host is {host}"
    helps = "run this on a machine of that kind; to see the plan here: verl-env plan, or install --dry-run"


class InterpreterMissingError(VerlEnvError):
    """No Python of the needed minor release on this host, or none that starts; a lock is for one minor release."""

    id = "interpreter-missing"
    version: str
    #: One that was found and does not start, with its last word.
    broken: str = ""
    helps = (
        "get one: uv python install {version}; or: conda create -p ./python{version} python={version}, "
        "then put its bin on PATH; or on a cluster: module avail python"
    )

    @property
    def message(self) -> str:
        """The release, and the one that does not start."""
        return f"there is no Python {self.version} on this host" + (f" that starts: {self.broken}" * bool(self.broken))


class ProvidedMisfitError(VerlEnvError):
    """A package that the site provides (``[provided]`` of the configuration) is not what the lock needs.

    ``requirement`` is what is the matter: its place, metadata, version, build, libraries or a requirement of its own.
    Nothing was made.
    """

    id = "provided-misfit"
    name: str
    directory: Path
    requirement: str
    need: str
    have: str
    says = (
        "{name}, which the site provides in {directory}, does not fit: its {requirement}: it needs {need}; here: {have}"
    )
    helps = "see who says so: verl-env config show; without it: {name} = false below [provided] in your configuration"

    def to_json(self) -> dict[str, Any]:
        more = {key: str(getattr(self, key)) for key in ("name", "directory", "requirement", "need", "have")}
        return {**VerlEnvError.to_json(self), **more}


class EnvironmentEmptyError(VerlEnvError):
    """What was named as an environment is not there, or holds no installed packages."""

    id = "environment-empty"
    exit_code = EXIT_MISUSE
    path: str
    reason: str
    says = "{path} holds no packages in lib/python3.*/site-packages: {reason}"
    helps = "name the directory of an environment, such as .venv, or a lockset (see: verl-env stacks)"


class PythonNotLockedError(VerlEnvError):
    """A lockset without a lock for a Python; ``python`` is None where none was asked for, as it has none at all."""

    id = "python-not-locked"
    exit_code = EXIT_MISUSE
    lockset: str
    python: str | None
    locked: Sequence[str]

    @property
    def message(self) -> str:
        if not self.locked:
            return f"{self.lockset} is recorded only: it has no lock"
        return f"{self.lockset} is locked for Python {', '.join(self.locked)}, not {self.python}"

    @property
    def hint(self) -> str:
        if not self.locked:
            return "its page in docs/locksets/ says what is missing; see the others: verl-env stacks"
        return f"give one that it has: --python {self.locked[0]}"
