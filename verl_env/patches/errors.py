"""What can go wrong between the tool and the patches of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from pathlib import Path


class NoInterpreterError(VerlEnvError):
    """The directory holds no Python environment."""

    id = "patches-no-environment"
    exit_code = EXIT_MISUSE
    path: Path
    reason: str
    says = "{path} is no environment: {reason}"
    helps = "name the environment: verl-env patches list --into DIR"


class RuntimeMissingError(VerlEnvError):
    """The runtime distribution is not in the environment."""

    id = "patches-not-installed"
    path: Path
    says = "verl-env-runtime is not installed in {path}"
    helps = "verl-env patches apply --into {path!q}"


class InterpreterFailedError(VerlEnvError):
    """The environment's interpreter gave no answer; ``output`` is the end of what it wrote."""

    id = "patches-interpreter-failed"
    path: Path
    reason: str
    output: str
    says = "the interpreter of {path} {reason}{output:+: {output}}"
    helps = "verl-env doctor --into {path!q}"


class InstallFailedError(VerlEnvError):
    """The installer could not put the runtime in or take it out."""

    id = "patches-install-failed"
    path: Path
    output: str
    says = "the runtime of {path} could not be changed: {output}"


class CarrierShadowedError(VerlEnvError):
    """A sitecustomize in this environment would never run, or would replace one of somebody else."""

    id = "patches-carrier-shadowed"
    path: Path
    winner: str
    replaced: bool
    helps = "the default carrier works here: verl-env patches apply --into {path!q}"

    @property
    def message(self) -> str:
        if self.replaced:
            return f"{self.winner} is there already and is not of verl-env"
        return f"a sitecustomize in {self.path} never runs: this interpreter takes {self.winner} instead"
