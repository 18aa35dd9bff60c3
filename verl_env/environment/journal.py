"""What a run is doing to an environment, written down while it does it: for the next run, and for one that waits."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Literal

from verl_env.environment.files import replace_bytes
from verl_env.reading import json_of, read_bytes
from verl_env.records import as_dict, names_of, record

if TYPE_CHECKING:
    from pathlib import Path

Phase = Literal["prepare", "switch"]


@record
class Journal:
    """One run: who, since when, and how far; ``generation`` is the one it makes."""

    pid: int
    host: str
    started: str
    phase: Phase
    generation: str

    @property
    def holder(self) -> str:
        """Who it is, in words."""
        return f"process {self.pid} on {self.host} (since {self.started})"


def begin(path: Path, generation: str) -> Journal:
    """Writes the first entry of this process."""
    import socket  # noqa: PLC0415
    from datetime import datetime, timezone  # noqa: PLC0415

    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    journal = Journal(os.getpid(), socket.gethostname(), now, "prepare", generation)
    write(path, journal)
    return journal


def write(path: Path, journal: Journal) -> None:
    """Replaces the journal in one step."""
    replace_bytes(path, json.dumps(as_dict(journal)).encode())


def read(path: Path) -> Journal | None:
    """The journal; None where there is none, or none that can be read."""
    try:
        data = json_of(read_bytes(path))
        return Journal(**{name: data[name] for name in names_of(Journal)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
