"""One rank of the exchange on each node."""

from __future__ import annotations

import json
import random
from importlib import resources
from typing import TYPE_CHECKING

from verl_env.cluster.command import guarded
from verl_env.cluster.deep.judge import MEGABYTES, DeepVerdict, judge
from verl_env.cluster.deep.steps import Steps
from verl_env.cluster.launcher import Together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.cluster.launcher import Spreader


def exchange(nodes: Spreader, names: Sequence[str], environment: Path, backend: str, *, seconds: float) -> DeepVerdict:
    """Has nodes exchange data, with the torch of an environment.

    Args:
        nodes: The way to them.
        names: The nodes, of which the first is met by all others.
        environment: The environment.
        backend: ``nccl`` or ``gloo``.
        seconds: What each node has.

    Raises:
        VerlEnvError: none can be started; what does not come to an end is part of the verdict.
    """
    steps = Steps(tuple(names))
    if len(names) < 2:  # noqa: PLR2004  a pair
        return DeepVerdict(backend, steps.nodes, ("an exchange takes two nodes that answer",), (), {})
    command = rank_command(environment, backend, nodes.head(names), len(names), seconds)
    nodes.spread(Together(command, names, seconds, steps.take, steps.over))
    return judge(steps, backend)


def rank_command(environment: Path, backend: str, address: str, world: int, seconds: float) -> list[str]:
    """The command of a rank: the program's text goes along, so that no file of the tool has to be on the node."""
    program = resources.files("verl_env.cluster.node").joinpath("ring.py").read_text(encoding="utf-8")
    # Below the ephemeral ports of Linux (32768) and above the registered ones of services.
    port = random.SystemRandom().randrange(20000, 32000)
    asked = {
        "backend": backend, "address": address, "port": port, "world": world, "seconds": seconds,
        "megabytes": MEGABYTES,
    }  # fmt: skip
    return guarded([str(environment / "bin" / "python"), "-c", program, json.dumps(asked)], seconds=seconds + 5)
