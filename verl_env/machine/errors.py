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

    def __init__(self, name: str, nearest: Sequence[str]) -> None:
        super().__init__(name)
        self.name, self.nearest = name, tuple(nearest)

    @property
    def message(self) -> str:
        return f"--gpu {self.name}: no GPU is known by this name"

    @property
    def hint(self) -> str:
        alike = f"known names like it: {', '.join(self.nearest)}; " if self.nearest else ""
        return f"{alike}or give the architecture: --gpu sm_90 (NVIDIA), --gpu gfx942 (AMD)"


class GpuCountError(VerlEnvError):
    """``--gpu NAME:COUNT`` with a count that is no count."""

    id = "gpu-count-invalid"
    exit_code = EXIT_MISUSE

    def __init__(self, text: str, name: str, maximum: int) -> None:
        super().__init__(text)
        self.text, self.name, self.maximum = text, name, maximum

    @property
    def message(self) -> str:
        return f"--gpu {self.text}: the number of GPUs must be a whole number from 1 to {self.maximum}"

    @property
    def hint(self) -> str:
        return f"--gpu {self.name}:8"


class MachineFlagError(VerlEnvError):
    """A machine flag whose value cannot be what the flag stands for."""

    id = "machine-flag-invalid"
    exit_code = EXIT_MISUSE

    def __init__(self, flag: str, value: str, expected: str, example: str) -> None:
        super().__init__(flag)
        self.flag, self.value, self.expected, self.example = flag, value, expected, example

    @property
    def message(self) -> str:
        return f"{self.flag} {self.value}: must be {self.expected}"

    @property
    def hint(self) -> str:
        return f"{self.flag} {self.example}"


class MachineFlagWithoutGpuError(VerlEnvError):
    """A flag about a GPU's software for a machine that has no such GPU."""

    id = "machine-flag-without-gpu"
    exit_code = EXIT_MISUSE

    def __init__(self, flag: str, value: str, vendor: str, example: str) -> None:
        super().__init__(flag)
        self.flag, self.value, self.vendor, self.example = flag, value, vendor, example

    @property
    def message(self) -> str:
        return f"{self.flag} {self.value}: the machine has no {self.vendor} that this could belong to"

    @property
    def hint(self) -> str:
        return f"name the GPU too: --gpu {self.example} {self.flag} {self.value}"


class MachineFlagConflictError(VerlEnvError):
    """``--arch`` says what the GPU named by ``--gpu`` rules out."""

    id = "machine-flag-conflict"
    exit_code = EXIT_MISUSE

    def __init__(self, arch: str, gpu: str, only: str) -> None:
        super().__init__(arch)
        self.arch, self.gpu, self.only = arch, gpu, only

    @property
    def message(self) -> str:
        return f"--arch {self.arch}: {self.gpu} comes with {self.only} only"

    @property
    def hint(self) -> str:
        return f"leave --arch out, or give --arch {self.only}"
