"""What can go wrong between the tool and the patches of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.command_line import command
from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from pathlib import Path


class NoInterpreter(VerlEnvError):
    """The directory holds no Python environment."""

    id = "patches-no-environment"
    exit_code = EXIT_MISUSE

    path: Path
    reason: str

    says = "{path} is no environment: {reason}"
    helps = "name the environment: verl-env patches list --into DIR"


class RuntimeMissing(VerlEnvError):
    """The runtime distribution is not in the environment."""

    id = "patches-not-installed"

    path: Path

    says = "verl-env-runtime is not installed in {path}"

    @property
    def hint(self) -> str:
        return command("patches", "apply", "--into", self.path)


class InterpreterFailed(VerlEnvError):
    """The environment's interpreter gave no answer; ``output`` is the end of what it wrote."""

    id = "patches-interpreter-failed"

    path: Path
    reason: str
    output: str

    @property
    def message(self) -> str:
        tail = f": {self.output}" if self.output else ""
        return f"the interpreter of {self.path} {self.reason}{tail}"

    @property
    def hint(self) -> str:
        return command("doctor", "--into", self.path)


class InstallFailed(VerlEnvError):
    """The installer could not put the runtime in or take it out."""

    id = "patches-install-failed"

    path: Path
    output: str

    says = "the runtime of {path} could not be changed: {output}"


class CarrierShadowed(VerlEnvError):
    """A sitecustomize in this environment would never run, or would replace one of somebody else."""

    id = "patches-carrier-shadowed"

    def __init__(self, path: Path, winner: str, *, replaced: bool) -> None:
        super().__init__(path, winner)
        self.path = path
        self.winner = winner
        self.replaced = replaced

    @property
    def message(self) -> str:
        if self.replaced:
            return f"{self.winner} is there already and is not of verl-env"
        return f"a sitecustomize in {self.path} never runs: this interpreter takes {self.winner} instead"

    @property
    def hint(self) -> str:
        return f"the default carrier works here: {command('patches', 'apply', '--into', self.path)}"
