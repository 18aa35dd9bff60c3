"""``cluster doctor``: the probe and the doctor of every node in one step, and what differs between nodes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from verl_env.cluster import deep
from verl_env.cluster.command import agent_command
from verl_env.cluster.compare import judge
from verl_env.cluster.errors import JobTooSmall
from verl_env.cluster.ray import gather as by_ray
from verl_env.cluster.slurm import gather as by_slurm
from verl_env.cluster.slurm.allocation import allocation

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.cluster.deep import DeepVerdict
    from verl_env.cluster.model import Verdict
    from verl_env.cluster.slurm.allocation import Wish


@dataclass(frozen=True, slots=True)
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

    @property
    def silence(self) -> str:
        """What is said of a node of which nothing is known."""
        return f"no answer within {self.seconds:.0f} s"


def by_srun(question: Question, wish: Wish) -> Verdict:
    """Asks nodes through Slurm.

    Raises:
        VerlEnvError: no node can be asked; what nodes answer is never an error.
    """
    with allocation(wish, os.environ) as nodes:
        started = time.monotonic()
        heard = by_slurm.gather(nodes, question.command, seconds=question.seconds)
        seconds = time.monotonic() - started
    return judge(heard.gathering, heard.reasons, otherwise=question.silence, seconds=seconds)


def by_srun_and_deep(question: Question, wish: Wish, backend: str) -> tuple[Verdict, DeepVerdict]:
    """Asks nodes through Slurm, and has those that answered exchange data.

    Raises:
        VerlEnvError: no node can be asked.
    """
    with allocation(wish, os.environ) as nodes:
        started = time.monotonic()
        heard = by_slurm.gather(nodes, question.command, seconds=question.seconds)
        seconds = time.monotonic() - started
        there = tuple(name for name in nodes.nodes if name in heard.gathering.answers)
        exchanged = deep.by_srun(replace(nodes, nodes=there), question.into, backend, seconds=question.seconds)
    return judge(heard.gathering, heard.reasons, otherwise=question.silence, seconds=seconds), exchanged


def by_ray_tasks(question: Question, address: str, nodes: int | None) -> Verdict:
    """Asks the nodes of a Ray cluster; ``nodes`` is how many there must be.

    Raises:
        VerlEnvError: no node can be asked, or there are too few.
    """
    started = time.monotonic()
    heard = by_ray.gather(address, question.into, question.command, seconds=question.seconds)
    alive = len(heard.gathering.expected) - len(heard.dead)
    if nodes is not None and alive < nodes:
        raise JobTooSmall(nodes, alive)
    notes = (f"the cluster runs Ray {heard.version}",)
    seconds = time.monotonic() - started
    return judge(heard.gathering, {}, otherwise=question.silence, notes=notes, seconds=seconds)
