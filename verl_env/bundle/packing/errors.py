"""What can be wrong with packing an environment, or with a pack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class PackImpossible(VerlEnvError):
    """An environment that cannot be packed: it needs files that lie elsewhere, or a program that is not here."""

    id = "pack-impossible"

    def __init__(self, path: Path, reason: str, hint: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason
        self._hint = hint

    @property
    def message(self) -> str:
        return f"{self.path} cannot be packed: {self.reason}"

    @property
    def hint(self) -> str:
        return self._hint


class PackInvalid(VerlEnvError):
    """A file or directory that is no pack, or whose files are not those that were packed; nothing was put in place."""

    id = "pack-invalid"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    @property
    def message(self) -> str:
        return f"{self.path} is no whole pack: {self.reason}"

    @property
    def hint(self) -> str:
        return "carry it over again, or make it anew where the environment is: verl-env pack .venv -o FILE"


class PackMisfit(VerlEnvError):
    """A pack that this host cannot run: what it needs, each by name, and what is here."""

    id = "pack-misfit"

    def __init__(self, path: Path, needs: Sequence[str]) -> None:
        super().__init__(path, needs)
        self.path = path
        self.needs = tuple(needs)

    @property
    def message(self) -> str:
        return f"{self.path} cannot run here: {'; '.join(self.needs)}"

    @property
    def hint(self) -> str:
        return "run it on a host that has these, or install them from the distribution of this host"


class PackTargetTaken(VerlEnvError):
    """The directory that a pack would be unpacked or mounted in is there and not empty."""

    id = "pack-target-taken"
    exit_code = EXIT_MISUSE

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def message(self) -> str:
        return f"{self.path} is there already"

    @property
    def hint(self) -> str:
        return f"give another directory, or move it away: mv {self.path} {self.path}.old"


class MountImpossible(VerlEnvError):
    """A pack cannot be mounted: by the kernel only root may, and squashfuse is not here or failed."""

    id = "mount-impossible"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    @property
    def message(self) -> str:
        return f"{self.path} cannot be mounted: {self.reason}"

    @property
    def hint(self) -> str:
        return f"install squashfuse, ask an admin, or unpack it: verl-env unpack {self.path}"
