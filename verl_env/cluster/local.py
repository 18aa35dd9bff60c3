"""Several processes on this host in the place of nodes: for a machine with GPUs and no scheduler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.cluster.stream import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verl_env.cluster.stream import Ended

#: Starts the command COUNT times at once, each with a rank, a name and a GPU of its own, and waits for all. With a host
#: id of its own each (NCCL's documentation, NCCL_HOSTID), NCCL takes the way between nodes, and not the one inside of one.
_SCRIPT = """
count=$1
shift
IFS=, read -r -a gpus <<<"${CUDA_VISIBLE_DEVICES:-$(seq -s , 0 $((count - 1)))}"
for ((rank = 0; rank < count; rank++)); do
    VERL_ENV_RANK=$rank VERL_ENV_NODE=local$rank CUDA_VISIBLE_DEVICES=${gpus[rank % ${#gpus[@]}]} \
        NCCL_HOSTID=${NCCL_HOSTID:-local$rank} "$@" &
done
wait
"""


def run_local(
    command: Sequence[str],
    count: int,
    *,
    seconds: float,
    take: Callable[[bytes], None],
    done: Callable[[], bool],
) -> Ended:
    """Runs a command as often as there would be nodes; each line of output goes to ``take``.

    Raises:
        OSError: there is no bash.
    """
    argv = ["bash", "-c", _SCRIPT, "verl-env-local", str(count), *command]
    return stream(argv, seconds=seconds, on_line=take, on_error=take, done=done, env=os.environ, patience=5.0)
