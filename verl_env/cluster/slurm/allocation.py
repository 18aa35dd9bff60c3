"""Nodes for a moment: those of the job that this runs in, else an allocation that is given back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from verl_env.cluster.errors import JobTooSmallError, NoNodesNamedError
from verl_env.cluster.fold import fold
from verl_env.cluster.slurm.ask import ask, hostnames, nodes_in, nodes_of_job, unusable
from verl_env.cluster.slurm.request import request
from verl_env.errors import VerlEnvError
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@record
class NodeRequest:
    """Which nodes are asked for: a number, a list, or both None for those of the job that this is in.

    ``options`` are given to salloc as they are; ``wait`` is how long an allocation may take, in seconds; ``action`` is
    the command, for hints.
    """

    nodes: int | None = None
    nodelist: str | None = None
    options: tuple[str, ...] = ()
    wait: float = 60.0
    action: str = "doctor"


@record
class Allocation:
    """Nodes that can be asked now, in the order of Slurm's tasks.

    ``expected`` holds in addition those that were named and cannot be had; ``reasons`` says of each why. ``job_nodes``
    are all nodes of the job, also those that were not asked for; ``own`` says that it is no job of the user's.
    """

    job: str
    nodes: tuple[str, ...]
    expected: tuple[str, ...]
    reasons: Mapping[str, str]
    job_nodes: tuple[str, ...] = ()
    own: bool = False


@contextlib.contextmanager
def allocation(
    wish: NodeRequest, environ: Mapping[str, str], waiting: Callable[[str], None] = lambda _: None
) -> Iterator[Allocation]:
    """The nodes that are asked for; what was allocated for it is given back at the end, come what may.

    Args:
        wish: Which nodes.
        environ: The variables of this process.
        waiting: Is told why Slurm gives none yet.

    Raises:
        NoNodesNamedError: this is not in a job, and no nodes are named.
        JobTooSmallError: the job has fewer nodes than were asked for.
        AllocationRefusedError: Slurm gives none, or not in time.
        VerlEnvError: Slurm does not answer.
    """
    mine = nodes_in(environ)
    if mine:
        yield _within(wish, mine, environ["SLURM_JOB_ID"])
        return
    if wish.nodes is None and wish.nodelist is None:
        raise NoNodesNamedError(wish.action)
    expected = hostnames(wish.nodelist) if wish.nodelist else ()
    reasons = unusable(expected) if expected else {}
    usable = [name for name in expected if name not in reasons]
    if expected and not usable:
        yield Allocation("", (), expected, reasons)
        return
    asked = [f"--nodelist={fold(usable)}", f"--nodes={len(usable)}"] if usable else [f"--nodes={wish.nodes}"]
    job = request([*asked, *wish.options], " ".join(asked), wait=wish.wait, waiting=waiting)
    try:
        nodes = nodes_of_job(job)
        yield Allocation(job, nodes, expected or nodes, reasons, nodes, own=True)
    finally:
        with contextlib.suppress(VerlEnvError):
            ask(["scancel", job])


def _within(wish: NodeRequest, mine: tuple[str, ...], job: str) -> Allocation:
    if wish.nodes is not None and wish.nodes > len(mine):
        raise JobTooSmallError(wish.nodes, len(mine), wish.action)
    expected = hostnames(wish.nodelist) if wish.nodelist else mine[: wish.nodes]
    outside = {name: "it is not one of this job" for name in expected if name not in mine}
    reasons = {**unusable([name for name in expected if name in mine]), **outside}
    there = tuple(name for name in mine if name in expected and name not in reasons)
    return Allocation(job, there, expected, reasons, mine)
