"""The verdict on an exchange: who failed, which pair hangs or is slow. Who only waited for them is not blamed."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from verl_env.cluster.fold import fold
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from verl_env.cluster.deep.steps import Steps

#: MiB of one message: enough that bandwidth counts, little enough for slow Ethernet.
MEGABYTES = 16
#: A pair is slow where it takes this many times the median of all pairs.
SLOW = 3.0
#: How far a rank came, by its last step, in the order of the steps; the empty one is no step at all.
_FAR = {
    "": "its process never started",
    "started": "its process started, and did not reach the first node",
    "met": "it reached the first node, and did not join the group",
    "joined": "it joined the group, and exchanged nothing",
    "pair": "it did not come to the end of an exchange",
    "paired": "it stopped between two exchanges",
    "sum": "it exchanged with the others, and has no sum over all",
}


@record
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


def judge(steps: Steps, backend: str) -> DeepVerdict:
    """The verdict on what the ranks said."""
    figures = {}
    if steps.pairs:
        median = statistics.median(steps.pairs.values())
        figures["pair_median_gb_per_s"] = _rate(median)
        figures["pair_slowest_gb_per_s"] = _rate(max(steps.pairs.values()))
    if len(steps.sums) == len(steps.nodes):
        figures["all_reduce_seconds"] = round(max(steps.sums.values()), 4)
    return DeepVerdict(backend, steps.nodes, (*_blame(steps), *steps.wrong), tuple(_slow(steps)), figures)


def _blame(steps: Steps) -> Iterator[str]:
    """Who keeps the others from their sum, nodes with the same trouble together, and how many waited."""
    unfinished = [rank for rank in range(len(steps.nodes)) if rank not in steps.sums]
    if not unfinished:
        return
    blamed, texts = _failed(steps) if steps.failed else _hanging(steps) or _behind(steps, unfinished)
    yield from texts
    if waited := [rank for rank in unfinished if rank not in blamed]:
        yield f"{_names(steps, waited)}: waited for {'it' if len(blamed) == 1 else 'them'}"


def _failed(steps: Steps) -> tuple[set[int], list[str]]:
    alike: dict[str, list[int]] = {}
    for rank, why in steps.failed.items():
        alike.setdefault(f"{_far(steps, rank)} ({why}){_said(steps, rank)}", []).append(rank)
    return set(steps.failed), [f"{_names(steps, ranks)}: {text}" for text, ranks in alike.items()]


def _hanging(steps: Steps) -> tuple[set[int], list[str]] | None:
    """Pairs that wait for each other, and ranks that others wait for while they wait for nobody; None without any."""
    waiting = {rank: told["peer"] for rank, told in steps.last.items() if told["step"] == "pair"}
    if not waiting:
        return None
    ends = {_end(waiting, rank) for rank in waiting}
    texts = [f"{_pair(steps, end)}: no exchange between them came to an end" for end in sorted(ends) if end[1:]]
    for (rank,) in sorted(end for end in ends if not end[1:]):
        left = [other for other, peer in waiting.items() if peer == rank]
        texts.append(f"{_names(steps, [rank])}: it fell silent; {_names(steps, left)} waited for its part")
    return {rank for end in ends for rank in end}, texts


def _end(waiting: dict[int, int], rank: int) -> tuple[int, ...]:
    """Whom a rank waits for in the end: two that wait for each other, or one that waits for nobody."""
    seen: list[int] = []
    while rank in waiting and rank not in seen:
        seen.append(rank)
        rank = waiting[rank]
    return tuple(sorted((rank, waiting[rank]))) if rank in waiting else (rank,)


def _behind(steps: Steps, unfinished: list[int]) -> tuple[set[int], list[str]]:
    """Those that came least far; all others may have waited for them."""
    order = list(_FAR)
    least = min(order.index(_step(steps, rank)) for rank in unfinished)
    ranks = [rank for rank in unfinished if order.index(_step(steps, rank)) == least]
    return set(ranks), [f"{_names(steps, ranks)}: {_FAR[order[least]]}{_said(steps, ranks[0])}"]


def _step(steps: Steps, rank: int) -> str:
    return str(steps.last[rank]["step"]) if rank in steps.last else ""


def _far(steps: Steps, rank: int) -> str:
    told = steps.last.get(rank, {})
    return f"no exchange with {steps.nodes[told['peer']]}" if told.get("step") == "pair" else _FAR[_step(steps, rank)]


def _said(steps: Steps, rank: int) -> str:
    return f"; it said: {steps.said[rank][-1]}" if steps.said.get(rank) else ""


def _names(steps: Steps, ranks: Iterable[int]) -> str:
    return fold([steps.nodes[rank] for rank in ranks])


def _pair(steps: Steps, ranks: Iterable[int]) -> str:
    return " and ".join(steps.nodes[rank] for rank in ranks)


def _slow(steps: Steps) -> Iterator[str]:
    if len(steps.pairs) < 3:  # noqa: PLR2004  of fewer there is no usual one
        return
    median = statistics.median(steps.pairs.values())
    for pair, seconds in sorted(steps.pairs.items()):
        if seconds > SLOW * median:
            yield f"{_pair(steps, pair)}: {_rate(seconds)} GB/s, the median is {_rate(median)}"


def _rate(seconds: float) -> float:
    """GB/s of there and back again."""
    return round(2 * (MEGABYTES << 20) / max(seconds, 1e-9) / 1e9, 3)
