"""What can be wrong with packing an environment, or with a pack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class PackImpossibleError(VerlEnvError):
    """An environment that cannot be packed: it needs files that lie elsewhere, or a program that is not here."""

    id = "pack-impossible"
    path: Path
    reason: str
    way_on: str
    says = "{path} cannot be packed: {reason}"
    helps = "{way_on}"


class PackInvalidError(VerlEnvError):
    """A file or directory that is no pack, or whose files are not those that were packed; nothing was put in place."""

    id = "pack-invalid"
    path: Path
    reason: str
    says = "{path} is no whole pack: {reason}"
    helps = "carry it over again, or make it anew where the environment is: verl-env pack .venv -o FILE"


class PackMisfitError(VerlEnvError):
    """A pack that this host cannot run: what it needs, each by name, and what is here."""

    id = "pack-misfit"
    path: Path
    needs: Sequence[str]
    says = "{path} cannot run here: {needs:; }"
    helps = "run it on a host that has these, or install them from the distribution of this host"


class PackTargetTakenError(VerlEnvError):
    """The directory that a pack would be unpacked or mounted in is there and not empty."""

    id = "pack-target-taken"
    exit_code = EXIT_MISUSE
    path: Path
    says = "{path} is there already"
    helps = "give another directory, or move it away: mv {path!q} {path!q}.old"


class MountImpossibleError(VerlEnvError):
    """A pack cannot be mounted: by the kernel only root may, and squashfuse is not here or failed."""

    id = "mount-impossible"
    path: Path
    reason: str
    says = "{path} cannot be mounted: {reason}"
    helps = "install squashfuse and fuse3, ask an admin, or unpack it: verl-env unpack {path!q}"
