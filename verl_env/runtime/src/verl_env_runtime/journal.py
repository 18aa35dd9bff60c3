"""What happened in this process, patch by patch, and the log that is written only when asked for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .gates import Verdict

#: ``1`` or ``stderr`` writes to stderr; any other value is a file that is appended to.
LOG = "VERL_ENV_PATCHES_LOG"

#: By patch id and target name.
outcomes: dict[tuple[str, str], Verdict] = {}
#: Exceptions of the machinery itself, in words.
faults: list[str] = []


def record(patch: str, target: str, verdict: Verdict) -> None:
    """Notes the outcome of one target and logs it."""
    outcomes[patch, target] = verdict
    log(f"{patch}: {verdict.state} ({target}) {verdict.reason}".rstrip())


def fault(where: str, error: BaseException) -> None:
    """Notes an exception that was kept from the user's process."""
    faults.append(f"{where}: {type(error).__name__}: {error}")
    log(f"fault: {faults[-1]}")


def log(line: str) -> None:
    """Writes a line where ``VERL_ENV_PATCHES_LOG`` says; nothing when it is not set or cannot be written."""
    where = os.environ.get(LOG, "")
    if where in {"", "0"}:
        return
    text = f"verl-env [{os.getpid()}] {line}\n"
    try:
        if where in {"1", "stderr"}:
            sys.stderr.write(text)
        else:
            with open(where, "a", encoding="utf-8") as stream:  # noqa: PTH123  pathlib is not loaded by then
                stream.write(text)
    except (OSError, ValueError, AttributeError):
        return
