"""What can go wrong in the doctor itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoEnvironmentError(VerlEnvError):
    """The directory given with ``--into`` is no Python environment."""

    id = "environment-not-found"
    exit_code = EXIT_MISUSE
    path: str
    reason: str
    says = "{path} is no Python environment ({reason})"
    helps = "name the environment: verl-env doctor --into DIR (the directory that holds bin/python)"


class ReportUnreadableError(VerlEnvError):
    """A file given with ``--report`` cannot be used."""

    id = "report-unreadable"
    exit_code = EXIT_MISUSE
    path: str
    reason: str
    says = "{path}: {reason}"
    helps = "write one with: verl-env report -o FILE, or paste the text of the issue into a file"


class CheckUnknownError(VerlEnvError):
    """``--only`` names a check that does not exist; ``near`` are the nearest names."""

    id = "check-unknown"
    exit_code = EXIT_MISUSE
    name: str
    near: Sequence[str]
    says = "there is no check {name!r}"

    @property
    def hint(self) -> str:
        return f"did you mean: {', '.join(self.near)}" if self.near else "see: verl-env doctor --list"
