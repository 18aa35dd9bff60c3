"""What starts a command on every node, whatever it is: srun, or the tasks of a Ray cluster.

A task finds its place among those of its command in ``VERL_ENV_RANK``, where srun does not give it, and in
``VERL_ENV_HEAD`` the address of the task of rank 0, where only the launcher's own side knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from verl_env.cluster.gather import Gathering


@record
class Heard:
    """What came of a command: the answers, what the launcher says of nodes that gave none, and remarks."""

    gathering: Gathering
    reasons: Mapping[str, str]
    notes: tuple[str, ...] = ()


@record
class Together:
    """A command that several nodes run together.

    Each has ``seconds``; each line of output, its rank in front, goes to ``take``, until ``done`` says that it was all.
    """

    command: Sequence[str]
    names: Sequence[str]
    seconds: float
    take: Callable[[bytes], None]
    done: Callable[[], bool]


class Spreader(Protocol):
    """Nodes on which one command can be started together."""

    def head(self, names: Sequence[str]) -> str:
        """The address of the first node; empty where each task has it in ``VERL_ENV_HEAD``.

        Raises:
            VerlEnvError: the scheduler does not answer.
        """

    def spread(self, work: Together) -> None:
        """Runs a command once on each of its nodes, all at once.

        Raises:
            VerlEnvError: none can be started.
        """


class Launcher(Spreader, Protocol):
    """Nodes that are held for a while, and the way to them."""

    @property
    def carrier(self) -> str:
        """Its name in a report of what carried a file."""

    def ask(
        self, command: Sequence[str], *, seconds: float, names: Sequence[str] | None = None, file: Path | None = None
    ) -> Heard:
        """Runs a command once on each node.

        Args:
            command: Answers as ``answers`` says.
            seconds: What each node has.
            names: The nodes; None for all.
            file: What every task reads from its stdin; None for nothing.

        Raises:
            VerlEnvError: no node can be asked; what nodes answer is never an error.
        """

    def broadcast(self, file: Path, to: Path, names: Sequence[str], *, seconds: float) -> str | None:
        """Copies a file to the same path on each node, if there is a better way than ``ask``: its name.

        What arrived must be seen there.
        """
