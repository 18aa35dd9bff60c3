"""What the ranks of an exchange say, as it comes."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verl_env.cluster.answers import DamagedAnswerError, Pieces, unlabelled
from verl_env.cluster.node.ring import MARK

if TYPE_CHECKING:
    from typing import Any

#: Seconds that the others have once a rank has failed: most of them only wait for it.
_PATIENCE = 15.0
_LAST_LINES = 3
_LINE_LIMIT = 240


@dataclass(slots=True)
class Steps:
    """What the ranks said, by their number.

    ``last`` is the last step of each, ``pairs`` the seconds of an exchange, ``sums`` those of the sum over all,
    ``failed`` why a task ended before it, ``late`` those that their deadline ended, most of which only waited for
    another; ``said`` are last other words.
    """

    nodes: tuple[str, ...]
    last: dict[int, dict[str, Any]] = field(default_factory=dict)
    pairs: dict[tuple[int, int], float] = field(default_factory=dict)
    sums: dict[int, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    late: set[int] = field(default_factory=set)
    said: dict[int, deque[str]] = field(default_factory=dict)
    _pieces: Pieces = field(default_factory=Pieces)
    _failed_at: float | None = None

    def take(self, line: bytes) -> None:
        """Takes one line of the launcher's output."""
        rank, text = unlabelled(line)
        _, mark, rest = text.partition(MARK.encode())
        if mark:
            self._step(json.loads(rest))
        elif (failure := self._failure(text)) is not None:
            self._end(self.nodes.index(failure["node"]), failure)
        elif rank is not None and text.strip():
            words = text.decode("utf-8", "replace").strip()[:_LINE_LIMIT]
            self.said.setdefault(rank, deque(maxlen=_LAST_LINES)).append(words)

    def over(self) -> bool:
        """Whether nothing more is expected: every rank has its sum, or one has failed some time ago."""
        waited = self._failed_at is not None and time.monotonic() - self._failed_at > _PATIENCE
        return waited or len({*self.sums, *self.failed, *self.late}) >= len(self.nodes)

    def _end(self, rank: int, failure: dict[str, Any]) -> None:
        if failure["failed"] == "deadline":
            self.late.add(rank)
        else:
            self.failed.setdefault(rank, failure["why"])
            self._failed_at = self._failed_at or time.monotonic()

    def _failure(self, text: bytes) -> dict[str, Any] | None:
        try:
            told = self._pieces.take(text)
        except DamagedAnswerError:
            return None
        return told if told is not None and told["node"] in self.nodes and "why" in told else None

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
