"""The nodes of an allocation of Slurm, and srun as the way to them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from verl_env.cluster.slurm.ask import address_of
from verl_env.cluster.slurm.gather import SLACK, gather
from verl_env.cluster.slurm.sbcast import broadcast
from verl_env.cluster.slurm.srun import run_step
from verl_env.records import record, replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.cluster.launcher import Heard, Together
    from verl_env.cluster.slurm.allocation import Allocation


@record
class Slurm:
    """For the methods see ``Launcher``."""

    allocation: Allocation
    carrier: str = "srun"

    def ask(
        self, command: Sequence[str], *, seconds: float, names: Sequence[str] | None = None, file: Path | None = None
    ) -> Heard:
        nodes = self.allocation if names is None else self._only(names)
        with contextlib.nullcontext() if file is None else file.open("rb") as stdin:
            return gather(nodes, command, seconds=seconds, stdin=stdin)

    def broadcast(self, file: Path, to: Path, names: Sequence[str], *, seconds: float) -> str | None:
        """By sbcast, which goes to all nodes of a job or to none."""
        if set(names) != set(self.allocation.job_nodes):
            return None
        broadcast(self.allocation.job, file, to, seconds=seconds)
        return "sbcast"

    def head(self, names: Sequence[str]) -> str:
        return address_of(names[0])

    def spread(self, work: Together) -> None:
        nodes = self._only(work.names)
        run_step(nodes, work.command, seconds=work.seconds + SLACK, take=work.take, done=work.done)

    def _only(self, names: Sequence[str]) -> Allocation:
        return replace(self.allocation, nodes=tuple(names), expected=tuple(names), reasons={})
