"""``cluster doctor``: the probe and the doctor of every node in one step, and what differs between nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from verl_env.cluster.command import agent_command
from verl_env.cluster.compare import judge
from verl_env.cluster.deep.exchange import exchange
from verl_env.records import record

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.cluster.deep.judge import DeepVerdict
    from verl_env.cluster.launcher import Launcher
    from verl_env.cluster.model import ClusterVerdict


@record
class Question:
    """What every node is asked.

    ``into`` is the environment, ``wanted`` whether it was named and must be there; ``directories`` are compared, and
    those that are ``required`` must exist on each node; ``seconds`` is what a node has.
    """

    into: Path
    wanted: bool
    directories: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    seconds: float = 120.0

    @property
    def command(self) -> list[str]:
        """The command of a node."""
        return agent_command(
            self.into,
            wanted=self.wanted,
            directories=self.directories,
            required=self.required,
            seconds=self.seconds,
        )


def examine(
    question: Question, nodes: Launcher, backend: str | None = None
) -> tuple[ClusterVerdict, DeepVerdict | None]:
    """Asks every node, and with a backend has those that answered exchange data.

    Raises:
        VerlEnvError: no node can be asked; what nodes answer is never an error.
    """
    started = time.monotonic()
    heard = nodes.ask(question.command, seconds=question.seconds)
    verdict = judge(heard, otherwise=f"no answer within {question.seconds:.0f} s", seconds=time.monotonic() - started)
    if backend is None:
        return verdict, None
    answered = [name for name in heard.gathering.expected if name in heard.gathering.answers]
    return verdict, exchange(nodes, answered, question.into, backend, seconds=question.seconds)
