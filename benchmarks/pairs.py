"""Times two commands in turn, A B A B ..., and prints the ratio of their wall times pair by pair.

Absolute times of a shared machine mean little; the ratio of two commands that ran side by side does.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Command:
    """A command to time; ``before`` runs untimed ahead of each run."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    before: Callable[[], None] | None = None

    def seconds(self) -> float:
        """The wall time of one run; a run that fails ends the benchmark."""
        if self.before is not None:
            self.before()
        start = time.perf_counter()
        done = subprocess.run(self.argv, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        elapsed = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{self.name} failed ({done.returncode}):\n{done.stderr.decode(errors='replace')}")
        return elapsed


def compare(ours: Command, peer: Command, *, runs: int, limit: float, slack: float = 0.0) -> bool:
    """Runs both and prints the figures; returns whether the median ratio keeps the limit.

    Args:
        ours: The command that is judged.
        peer: What it is judged by.
        runs: Counted pairs, after one that is not counted.
        limit: The highest ratio of ours to the peer that is good enough.
        slack: Seconds that are taken off ours before the ratio is formed.
    """
    pairs = [(ours.seconds(), peer.seconds()) for _ in range(runs + 1)][1:]
    ratio = statistics.median((mine - slack) / theirs for mine, theirs in pairs)
    for name, times in ((ours.name, [a for a, _ in pairs]), (peer.name, [b for _, b in pairs])):
        print(f"  {name:<44} min {min(times) * 1e3:8.1f} ms   median {statistics.median(times) * 1e3:8.1f} ms")
    kept = ratio <= limit
    note = f" after {slack * 1e3:.0f} ms" if slack else ""
    print(f"  ratio{note} {ratio:.2f}, at most {limit:.2f}: {'kept' if kept else 'NOT KEPT'}\n")
    return kept
