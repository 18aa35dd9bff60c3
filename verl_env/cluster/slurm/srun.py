"""One srun for all nodes, and nothing in it that lets one node end the others."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from verl_env.cluster.errors import ProgramMissingError
from verl_env.cluster.fold import fold
from verl_env.cluster.model import JOB_VARIABLE
from verl_env.cluster.stream import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

    from verl_env.cluster.slurm.allocation import Allocation
    from verl_env.cluster.stream import Ended

#: Variables of a job that would shape the step: srun reads its options from them (srun(1), "INPUT ENVIRONMENT
#: VARIABLES"), and refuses those of memory that are set together.
_SHAPING = re.compile(
    r"SLURM_(NTASKS|NPROCS|TASKS_PER|CPUS_PER_(TASK|GPU)|GPUS_PER_(TASK|SOCKET)|TRES_PER_TASK|MEM_PER|DISTRIBUTION|NNODES"
    r"|JOB_NUM_NODES|KILL_BAD_EXIT|WAIT|LABELIO|UNBUFFEREDIO|IMMEDIATE|EXCLUSIVE|HINT|CPU_BIND|GPU_BIND|MEM_BIND"
    r"|EXPORT_ENV|NODEID|PROCID|STEP)|SRUN_CPUS_PER_TASK"
)


def srun_argv(allocation: Allocation, command: Sequence[str], *, stdin: str = "none") -> list[str]:
    """The srun that runs a command once on each node of an allocation.

    Args:
        allocation: The job and its nodes.
        command: Runs on each node as it is.
        stdin: As srun's ``--input``: ``none``, or ``all`` to give every task what srun reads.
    """
    count = len(allocation.nodes)
    return [
        "srun",
        f"--jobid={allocation.job}",
        f"--nodes={count}",
        f"--ntasks={count}",
        "--ntasks-per-node=1",
        f"--nodelist={fold(allocation.nodes)}",
        "--overlap",
        "--kill-on-bad-exit=0",
        "--wait=0",
        "--no-kill",
        "--mpi=none",
        "--export=ALL",
        "--label",
        f"--input={stdin}",
        *command,
    ]


def step_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a step: those of this process, without what shapes the job."""
    return {name: value for name, value in environ.items() if not _SHAPING.match(name)}


def run_step(
    allocation: Allocation,
    command: Sequence[str],
    *,
    seconds: float,
    take: Callable[[bytes], None],
    done: Callable[[], bool],
    stdin: IO[bytes] | int | None = None,
) -> Ended:
    """Runs a command on each node; each line of stdout and stderr, with its task's number, goes to ``take``.

    Raises:
        ProgramMissingError: there is no srun.
    """
    argv = srun_argv(allocation, command, stdin="none" if stdin is None else "all")
    env = step_environment(os.environ) | ({JOB_VARIABLE: "1"} if allocation.own else {})
    try:
        source = subprocess.DEVNULL if stdin is None else stdin
        return stream(argv, seconds=seconds, on_line=take, on_error=take, done=done, env=env, stdin=source)
    except OSError as error:
        raise ProgramMissingError("srun") from error
