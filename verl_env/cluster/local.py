"""Several processes on this host in the place of nodes: for a machine with GPUs and no scheduler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.cluster.slurm.gather import SLACK
from verl_env.cluster.stream import stream
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.cluster.launcher import Together

#: Starts the command COUNT times at once, each with a rank, a name and a GPU of its own, and waits for all. With a
#: host id each (NCCL's documentation, NCCL_HOSTID), NCCL takes the way between nodes, and not the one inside of one.
_SCRIPT = """
count=$1
shift
IFS=, read -r -a gpus <<<"${CUDA_VISIBLE_DEVICES:-$(seq -s , 0 $((count - 1)))}"
for ((rank = 0; rank < count; rank++)); do
    VERL_ENV_RANK=$rank VERL_ENV_NODE=local$rank CUDA_VISIBLE_DEVICES=${gpus[rank % ${#gpus[@]}]} \\
        NCCL_HOSTID=${NCCL_HOSTID:-local$rank} "$@" 2>&1 | sed -u "s/^/$rank: /" &
done
wait
"""


@record
class Local:
    """Processes ``local0`` and so on; they can only be spread over, as all that could be asked of them is equal."""

    count: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the processes."""
        return tuple(f"local{rank}" for rank in range(self.count))

    def head(self, names: Sequence[str]) -> str:  # noqa: ARG002
        """The address of all of them."""
        return "127.0.0.1"

    def spread(self, work: Together) -> None:
        """Runs a command as often as there would be nodes; see ``Spreader``.

        Raises:
            OSError: there is no bash.
        """
        argv = ["bash", "-c", _SCRIPT, "verl-env-local", str(len(work.names)), *work.command]
        limit, take = work.seconds + SLACK, work.take
        stream(argv, seconds=limit, on_line=take, on_error=take, done=work.done, env=os.environ)
