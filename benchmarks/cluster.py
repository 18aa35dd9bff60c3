"""The gathering layer with simulated nodes: seconds and memory by their number, and a plot of both.

    python benchmarks/cluster.py [-o docs/cluster-gathering.svg]

One child prints the answers of all nodes as srun does, labelled and in pieces, a real answer of this host each, one
node in a hundred with another driver. What is measured is everything from its start to the verdict, in this process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from verl_env.cluster.answers import answer_lines
from verl_env.cluster.compare import judge
from verl_env.cluster.gather import Gathering
from verl_env.cluster.launcher import Heard
from verl_env.cluster.node.agent import answer
from verl_env.cluster.stream import stream

COUNTS = (1, 10, 100, 250, 500, 1000, 2000)


def answers(count, file):
    """The lines of all nodes, interleaved as tasks that run side by side interleave them."""
    asked = {"into": None, "wanted": False, "directories": ["/tmp"], "required": []}
    data = answer(asked, os.environ)
    pieces = []
    for number in range(count):
        aspects = {**data["aspects"], **({"driver": "535.1"} if number % 100 == 99 else {})}
        lines = answer_lines({**data, "node": f"node{number:04d}", "aspects": aspects}).strip().splitlines()
        pieces += [(turn, f"{number}: {line}") for turn, line in enumerate(lines)]
    file.write("\n".join(line for _, line in sorted(pieces)) + "\n")
    file.flush()


def measure(count):
    """Seconds, MiB of this process at its peak, and the verdict's numbers; in a process of its own."""
    with tempfile.NamedTemporaryFile("w") as file:
        # Making the answers takes more memory than gathering them, so another process does it.
        subprocess.run([sys.executable, __file__, "--answers", str(count), file.name], check=True)
        before = peak()
        started = time.perf_counter()
        gathering = Gathering([f"node{number:04d}" for number in range(count)])
        stream(["cat", file.name], seconds=60, on_line=gathering.take, on_error=print, done=lambda: gathering.complete)
        verdict = judge(Heard(gathering, {}), otherwise="no answer")
        seconds = time.perf_counter() - started
        size = Path(file.name).stat().st_size
    assert not verdict.missing
    return {"nodes": count, "seconds": seconds, "mib": peak() - before, "groups": len(verdict.groups), "bytes": size}


def peak():
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plot(rows):
    """Both curves over the number of nodes, as SVG."""
    left, top, width, height = 60, 30, 520, 260
    most = max(row["nodes"] for row in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 {top + height + 50}" font-size="12">',
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#888"/>',
    ]
    for name, colour, unit in (("seconds", "#1f77b4", "s"), ("mib", "#d62728", "MiB")):
        high = max(row[name] for row in rows) or 1
        points = [(left + width * row["nodes"] / most, top + height - height * row[name] / high) for row in rows]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        x, anchor = (left, "start") if name == "seconds" else (left + width, "end")
        parts.append(
            f'<text x="{x}" y="{top - 8}" fill="{colour}" text-anchor="{anchor}">{high:.2f} {unit} at the top</text>'
        )
    for count in (0, most // 2, most):
        x = left + width * count / most
        parts.append(f'<text x="{x:.0f}" y="{top + height + 18}" text-anchor="middle">{count}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">nodes</text></svg>')
    return "\n".join(parts) + "\n"


def main():
    """Measures each number of nodes in a process of its own and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--one", type=int)
    parser.add_argument("--answers", nargs=2)
    args = parser.parse_args()
    if args.answers:
        with Path(args.answers[1]).open("w") as file:
            answers(int(args.answers[0]), file)
        return
    if args.one:
        print(json.dumps(measure(args.one)))
        return
    rows = []
    for count in COUNTS:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(count)], capture_output=True, text=True, check=True
        )
        rows.append(json.loads(done.stdout))
        print("| {nodes} | {seconds:.3f} | {mib:.1f} | {bytes} | {groups} |".format(**rows[-1]), flush=True)
    if args.output:
        args.output.write_text(plot(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
