"""A file to all nodes of a job, by Slurm's own tree of daemons."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.cluster.slurm.srun import step_environment
from verl_env.cluster.stream import stream

if TYPE_CHECKING:
    from pathlib import Path


def broadcast(job: str, file: Path, to: Path, *, seconds: float) -> None:
    """Copies a file to the same path on each node of a job; what arrived must be seen there, not here."""
    argv = ["sbcast", "--force", f"--jobid={job}", str(file), str(to)]

    def nothing(_: bytes) -> None:
        """What it says names no node reliably."""

    try:
        stream(argv, seconds=seconds, on_line=nothing, on_error=nothing, env=step_environment(os.environ))
    except OSError:
        return
