"""What can go wrong before anything is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.command_line import command
from verl_env.errors import EXIT_MISUSE, EXIT_NO, VerlEnvError

if TYPE_CHECKING:
    from pathlib import Path


class PartUnknown(VerlEnvError):
    """There is no part of that name."""

    id = "verify-part-unknown"
    exit_code = EXIT_MISUSE

    name: str
    known: list[str]

    @property
    def message(self) -> str:
        return f"there is no part {self.name!r}; there are {', '.join(self.known)}"

    helps = "verl-env verify --list"


class ProofNotKept(VerlEnvError):
    """The environment of ``verify --keep`` may not be written; the proof itself was made and shown."""

    id = "verify-not-kept"
    exit_code = EXIT_NO

    prefix: Path
    reason: str

    says = "the proof cannot be kept in {prefix}: {reason}"

    @property
    def hint(self) -> str:
        return command("verify", "--into", str(self.prefix), "-o", "proof.json")
