"""Errors in the description of a machine by flags."""

from __future__ import annotations

from verl_env.errors import EXIT_MISUSE, VerlEnvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class GpuUnknownError(VerlEnvError):
    """``--gpu`` names a GPU that no table holds; ``nearest`` are the known names most like it."""

    id = "gpu-unknown"
    exit_code = EXIT_MISUSE
    name: str
    nearest: Sequence[str]
    says = "--gpu {name}: no GPU is known by this name"
    helps = (
        "{nearest:+known names like it: {nearest:, }; }"
        "or give the architecture: --gpu sm_90 (NVIDIA), --gpu gfx942 (AMD)"
    )


class GpuCountError(VerlEnvError):
    """``--gpu NAME:COUNT`` with a count that is no count."""

    id = "gpu-count-invalid"
    exit_code = EXIT_MISUSE
    text: str
    name: str
    maximum: int
    says = "--gpu {text}: the number of GPUs must be a whole number from 1 to {maximum}"
    helps = "--gpu {name}:8"


class MachineFlagError(VerlEnvError):
    """A machine flag whose value cannot be what the flag stands for."""

    id = "machine-flag-invalid"
    exit_code = EXIT_MISUSE
    flag: str
    value: str
    expected: str
    example: str
    says = "{flag} {value}: must be {expected}"
    helps = "{flag} {example}"


class MachineFlagWithoutGpuError(VerlEnvError):
    """A flag about a GPU's software for a machine that has no such GPU."""

    id = "machine-flag-without-gpu"
    exit_code = EXIT_MISUSE
    flag: str
    value: str
    vendor: str
    example: str
    says = "{flag} {value}: the machine has no {vendor} that this could belong to"
    helps = "name the GPU too: --gpu {example} {flag} {value}"


class MachineFlagConflictError(VerlEnvError):
    """``--arch`` says what the GPU named by ``--gpu`` rules out."""

    id = "machine-flag-conflict"
    exit_code = EXIT_MISUSE
    arch: str
    gpu: str
    only: str
    says = "--arch {arch}: {gpu} comes with {only} only"
    helps = "leave --arch out, or give --arch {only}"
