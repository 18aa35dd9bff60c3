"""Nodes for a moment: those of the job that this runs in, else an allocation that is given back."""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verl_env.cluster.errors import AllocationRefused, JobTooSmall, NoNodesNamed, ProgramMissing
from verl_env.cluster.fold import fold
from verl_env.cluster.slurm.ask import ask, hostnames, nodes_in, nodes_of_job, pending_reason, unusable
from verl_env.cluster.stream import stream
from verl_env.errors import VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_JOB = re.compile(r"\b(Granted|Pending) job allocation (\d+)")
#: Minutes after which Slurm itself ends an allocation that nobody gave back, as after a kill of this process.
_MINUTES = 60
#: Seconds beyond the wait for salloc to say anything at all: a controller under load.
_SLACK = 20.0


@dataclass(frozen=True, slots=True)
class Wish:
    """Which nodes are asked for: a number, a list, or both None for those of the job that this is in.

    ``options`` are given to salloc as they are; ``wait`` is how long an allocation may take, in seconds; ``action`` is
    the command, for hints.
    """

    nodes: int | None = None
    nodelist: str | None = None
    options: tuple[str, ...] = ()
    wait: float = 60.0
    action: str = "doctor"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Nodes that can be asked now, in the order of Slurm's tasks.

    ``expected`` holds in addition those that were named and cannot be had; ``reasons`` says of each why. ``job_nodes``
    are all nodes of the job, also those that were not asked for.
    """

    job: str
    nodes: tuple[str, ...]
    expected: tuple[str, ...]
    reasons: Mapping[str, str]
    job_nodes: tuple[str, ...] = ()


@contextlib.contextmanager
def allocation(wish: Wish, environ: Mapping[str, str]) -> Iterator[Allocation]:
    """The nodes that are asked for; what was allocated for it is given back at the end, come what may.

    Raises:
        NoNodesNamed: this is not in a job, and no nodes are named.
        JobTooSmall: the job has fewer nodes than were asked for.
        AllocationRefused: Slurm gives none, or not in time.
        VerlEnvError: Slurm does not answer.
    """
    mine = nodes_in(environ)
    if mine:
        yield _within(wish, mine, environ["SLURM_JOB_ID"])
        return
    if wish.nodes is None and wish.nodelist is None:
        raise NoNodesNamed(wish.action)
    expected = hostnames(wish.nodelist) if wish.nodelist else ()
    reasons = unusable(expected) if expected else {}
    usable = [name for name in expected if name not in reasons]
    if expected and not usable:
        yield Allocation("", (), expected, reasons)
        return
    asked = [f"--nodelist={fold(usable)}", f"--nodes={len(usable)}"] if usable else [f"--nodes={wish.nodes}"]
    job = _allocate([*asked, *wish.options], " ".join(asked), wish.wait)
    try:
        nodes = nodes_of_job(job)
        yield Allocation(job, nodes, expected or nodes, reasons, nodes)
    finally:
        with contextlib.suppress(VerlEnvError):
            ask(["scancel", job])


def _within(wish: Wish, mine: tuple[str, ...], job: str) -> Allocation:
    if wish.nodes is not None and wish.nodes > len(mine):
        raise JobTooSmall(wish.nodes, len(mine), wish.action)
    expected = hostnames(wish.nodelist) if wish.nodelist else mine[: wish.nodes]
    outside = {name: "it is not one of this job" for name in expected if name not in mine}
    reasons = {**unusable([name for name in expected if name in mine]), **outside}
    there = tuple(name for name in mine if name in expected and name not in reasons)
    return Allocation(job, there, expected, reasons, mine)


def _allocate(options: Sequence[str], asked: str, wait: float) -> str:
    """The id of a new allocation.

    ``--immediate`` would tell that there is none now, not why. So the job waits in the queue for a moment, and when
    its time is over Slurm is asked for the reason before it is taken back.
    """
    seen: dict[str, str] = {}
    said: list[str] = []

    def take(line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if found := _JOB.search(text):
            seen[found[1]] = found[2]
        elif text:
            said.append(text)

    def over() -> bool:
        if "Granted" not in seen and "Pending" in seen and time.monotonic() >= started + wait:
            said.append(pending_reason(seen["Pending"]))
            return True
        return "Granted" in seen

    argv = ["salloc", "--no-shell", "--job-name=verl-env", f"--time={_MINUTES}", *options]
    started = time.monotonic()
    try:
        stream(argv, seconds=wait + _SLACK, on_line=take, on_error=take, done=over, env=_environment(), patience=1.0)
    except OSError as error:
        raise ProgramMissing("salloc") from error
    except BaseException:
        _cancel(seen)
        raise
    if "Granted" in seen:
        return seen["Granted"]
    waited = time.monotonic() - started
    _cancel(seen)
    raise AllocationRefused(
        asked, said[-1] if said else "salloc said nothing", waited=waited if waited >= wait else 0.0
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def _cancel(seen: Mapping[str, str]) -> None:
    for job in set(seen.values()):
        with contextlib.suppress(VerlEnvError):
            ask(["scancel", job])
