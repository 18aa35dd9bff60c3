"""One task on every node of an allocation of Slurm."""

from __future__ import annotations

import contextlib
import time
from typing import IO, TYPE_CHECKING

from verl_env.cluster.gather import Gathering
from verl_env.cluster.launcher import Heard
from verl_env.cluster.slurm.ask import unusable
from verl_env.cluster.slurm.srun import run_step
from verl_env.errors import VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.cluster.slurm.allocation import Allocation

#: Seconds that srun may take beyond those of a task: to start it on all nodes, and to notice a dead one.
SLACK = 30.0


def gather(allocation: Allocation, command: Sequence[str], *, seconds: float, stdin: IO[bytes] | None = None) -> Heard:
    """Runs a command once on each node of an allocation.

    Args:
        allocation: The nodes.
        command: Answers as ``answers`` says.
        seconds: What each node has.
        stdin: What every task reads; None for nothing.

    Raises:
        ProgramMissingError: there is no srun.
    """
    started = time.time()
    asked = Gathering(allocation.nodes, started=started)
    if allocation.nodes:
        allowed, done = seconds + SLACK, lambda: asked.complete
        run_step(allocation, command, seconds=allowed, take=asked.take, done=done, stdin=stdin)
    asked.expected = tuple(dict.fromkeys((*allocation.expected, *allocation.nodes)))
    return Heard(asked, {**_late_reasons(asked), **allocation.reasons})


def _late_reasons(gathering: Gathering) -> dict[str, str]:
    """What Slurm says now of those that did not answer: a node that died meanwhile is down."""
    silent = [name for name in gathering.expected if name not in gathering.answers and name not in gathering.failed]
    with contextlib.suppress(VerlEnvError):
        return unusable(silent) if silent else {}
    return {}
