"""How long the chooser takes per machine, over the matrix of docs/coverage.md, in one process.

python benchmarks/matrix.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from verl_env.choose.choose import choose
from verl_env.choose.model import Request
from verl_env.components.load import load_catalogue as load_components
from verl_env.locksets.catalogue import load_catalogue

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))

from coverage_page import STACKS, matrix

LIMIT_MS = 10.0


def main() -> int:
    """Prints the figures; 1 when the median or the mean is above the limit."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    started = time.perf_counter()
    locksets, components = load_catalogue(), load_components()
    loaded = (time.perf_counter() - started) * 1e3
    times = []
    for _ in range(rounds):
        for place in matrix():
            machine = place.machine
            for stack in STACKS:
                before = time.perf_counter()
                choose(locksets, machine, Request((stack,), python=place.python), components=components)
                times.append((time.perf_counter() - before) * 1e3)
    median, mean = statistics.median(times), statistics.fmean(times)
    print(f"{len(locksets)} locksets read in {loaded:.1f} ms; {len(times)} answers")
    slow = sorted(times)[-len(times) // 100]
    print(f"per answer: median {median:.2f} ms, mean {mean:.2f} ms, 99 of 100 below {slow:.2f} ms")
    kept = max(median, mean) <= LIMIT_MS
    print(f"at most {LIMIT_MS:.0f} ms: {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
