"""``--deep``: nodes exchange data pair by pair and sum over all; the slow or silent pair is named."""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from verl_env.cluster.answers import unlabelled
from verl_env.cluster.command import guarded
from verl_env.cluster.local import run_local
from verl_env.cluster.node.ring import MARK
from verl_env.cluster.slurm.ask import address_of
from verl_env.cluster.slurm.gather import SLACK
from verl_env.cluster.slurm.srun import run_step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from verl_env.cluster.slurm.allocation import Allocation

#: MiB of one message: enough that bandwidth counts, little enough for slow Ethernet.
MEGABYTES = 16
#: A pair is slow where it takes this many times the median of all pairs.
SLOW = 3.0
_MARK = MARK.encode()
_STEPS = {
    "started": "its process started, and did not reach the first node",
    "met": "it reached the first node, and did not join the group",
    "joined": "it joined the group, and exchanged nothing",
}


@dataclass(slots=True)
class Heard:
    """What the ranks said, by their number; ``said`` are their last other words."""

    nodes: tuple[str, ...]
    last: dict[int, dict[str, Any]] = field(default_factory=dict)
    pairs: dict[tuple[int, int], float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    sums: dict[int, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        """Takes one line of the launcher's output."""
        _, text = unlabelled(line)
        _, mark, rest = text.partition(_MARK)
        if mark:
            self._step(json.loads(rest))
        elif text.strip():
            self.said = [*self.said[-4:], text.decode("utf-8", "replace").strip()[:240]]

    @property
    def complete(self) -> bool:
        """Whether every rank has its sum."""
        return len(self.sums) == len(self.nodes)

    def _step(self, told: dict[str, Any]) -> None:
        rank = told["rank"]
        self.last[rank] = told
        if told["step"] == "paired":
            pair = (min(rank, told["peer"]), max(rank, told["peer"]))
            self.pairs[pair] = max(told["seconds"], self.pairs.get(pair, 0.0))
        if told["step"] == "summed":
            self.sums[rank] = told["seconds"]
        if told.get("right") is False:
            peer = f" from {self.nodes[told['peer']]}" if "peer" in told else " of all nodes"
            self.wrong.append(f"{self.nodes[rank]} has wrong data{peer}")


@dataclass(frozen=True, slots=True)
class DeepVerdict:
    """What came of the exchange: errors, slow pairs, and figures in GB/s."""

    backend: str
    nodes: tuple[str, ...]
    errors: tuple[str, ...]
    slow: tuple[str, ...]
    figures: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether every node exchanged with its peers and has the right sum."""
        return not self.errors


def by_srun(allocation: Allocation, environment: Path, backend: str, *, seconds: float) -> DeepVerdict:
    """One rank on each node of an allocation.

    Raises:
        VerlEnvError: Slurm cannot be asked.
    """
    heard = Heard(allocation.nodes)
    if len(heard.nodes) < 2:  # noqa: PLR2004  a pair
        return DeepVerdict(backend, heard.nodes, ("an exchange takes two nodes that answer",), (), {})
    command = rank_command(environment, backend, address_of(allocation.nodes[0]), len(heard.nodes), seconds)
    run_step(allocation, command, seconds=seconds + SLACK, take=heard.take, done=lambda: heard.complete)
    return judge(heard, backend)


def on_this_host(count: int, environment: Path, backend: str, *, seconds: float) -> DeepVerdict:
    """As many ranks on this host, each with one GPU of its own: what several nodes do, without a scheduler."""
    heard = Heard(tuple(f"local{rank}" for rank in range(count)))
    command = rank_command(environment, backend, "127.0.0.1", count, seconds)
    run_local(command, count, seconds=seconds + SLACK, take=heard.take, done=lambda: heard.complete)
    return judge(heard, backend)


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


def judge(heard: Heard, backend: str) -> DeepVerdict:
    """The verdict on what the ranks said."""
    errors = [*_silent(heard), *heard.wrong]
    if errors and heard.said:
        errors.append(f"they said: {' | '.join(heard.said)}")
    figures = {}
    if heard.pairs:
        median = statistics.median(heard.pairs.values())
        figures["pair_median_gb_per_s"] = _rate(median, 2)
        figures["pair_slowest_gb_per_s"] = _rate(max(heard.pairs.values()), 2)
    if heard.complete:
        figures["all_reduce_seconds"] = round(max(heard.sums.values()), 4)
    return DeepVerdict(backend, heard.nodes, tuple(errors), tuple(_slow(heard)), figures)


def _silent(heard: Heard) -> Iterator[str]:
    """Nodes that did not come to their sum, with how far they came; of a pair that hangs, both ends in one line."""
    waiting = {rank: told["peer"] for rank, told in heard.last.items() if told["step"] == "pair"}
    for rank, peer in sorted(waiting.items()):
        both = waiting.get(peer) == rank
        if rank < peer or not both:
            yield f"{heard.nodes[rank]} and {heard.nodes[peer]}: no exchange came to an end"
    for rank, node in enumerate(heard.nodes):
        told = heard.last.get(rank)
        if told is None:
            yield f"{node}: its process never started"
        elif told["step"] in _STEPS:
            yield f"{node}: {_STEPS[told['step']]}"
        elif told["step"] in {"paired", "sum"}:
            yield f"{node}: it exchanged with others, and has no sum over all"


def _slow(heard: Heard) -> Iterator[str]:
    if len(heard.pairs) < 3:  # noqa: PLR2004  of fewer there is no usual one
        return
    median = statistics.median(heard.pairs.values())
    for (left, right), seconds in sorted(heard.pairs.items()):
        if seconds > SLOW * median:
            names = f"{heard.nodes[left]} and {heard.nodes[right]}"
            yield f"{names}: {_rate(seconds, 2)} GB/s, the median is {_rate(median, 2)}"


def _rate(seconds: float, times: int) -> float:
    return round(times * (MEGABYTES << 20) / max(seconds, 1e-9) / 1e9, 3)
