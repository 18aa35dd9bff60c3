"""What can go wrong before anything is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import EXIT_MISUSE, EXIT_NO, VerlEnvError

if TYPE_CHECKING:
    from pathlib import Path


class PartUnknownError(VerlEnvError):
    """There is no part of that name."""

    id = "verify-part-unknown"
    exit_code = EXIT_MISUSE
    name: str
    known: list[str]
    says = "there is no part {name!r}; there are {known:, }"
    helps = "verl-env verify --list"


class ProofNotKeptError(VerlEnvError):
    """The environment of ``verify --keep`` may not be written; the proof itself was made and shown."""

    id = "verify-not-kept"
    exit_code = EXIT_NO
    prefix: Path
    reason: str
    says = "the proof cannot be kept in {prefix}: {reason}"
    helps = "verl-env verify --into {prefix!q} -o proof.json"
