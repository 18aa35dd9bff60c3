"""The doctor beside what users are told to run: uv pip check, pip check and vLLM's collect_env.

    python benchmarks/doctor.py ENV [RUNS]

Each runs once uncounted, so that files are in cache, then RUNS times (3). Printed are the wall time, the highest memory
of the process and its children, the exit code, and what it found. The doctor's limits: 3 s, 300 MB, and no finding of
severity error that is merely the lack of a GPU.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCRIPTS = Path(sys.executable).parent
SECONDS, MEGABYTES = 3.0, 300.0
#: Runs a command and adds its peak memory in KiB as the last line of stderr.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)
"""


@dataclass(frozen=True)
class Peer:
    """A command to measure; ``found`` reads from its output what it found."""

    name: str
    argv: Sequence[str]
    found: Callable[[str], str]


@dataclass(frozen=True)
class Run:
    """One measured run: wall seconds, peak memory in MB, exit code, and both outputs."""

    seconds: float
    megabytes: float
    code: int
    output: str


def main() -> int:
    """Prints the figures; 1 when a limit of the doctor is not kept."""
    env, runs = Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print(f"  {'':<24}{'min s':>8}{'median s':>10}{'MB':>8}{'exit':>6}  found")
    kept = True
    for peer in peers(env):
        measured = [measure(peer.argv) for _ in range(runs + 1)][1:]
        seconds = [one.seconds for one in measured]
        megabytes, last = max(one.megabytes for one in measured), measured[-1]
        figures = f"{min(seconds):8.2f}{statistics.median(seconds):10.2f}{megabytes:8.0f}{last.code:6d}"
        print(f"  {peer.name:<24}{figures}  {peer.found(last.output)}")
        if peer.name == "verl-env doctor":
            kept = statistics.median(seconds) <= SECONDS and megabytes <= MEGABYTES and last.code == 0
    print(f"  at most {SECONDS:.0f} s and {MEGABYTES:.0f} MB, no error: {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


def peers(env: Path) -> list[Peer]:
    """The doctor and the others, on one environment."""
    python = str(env / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "check", "--disable-pip-version-check"]
    return [
        Peer("verl-env doctor", [str(SCRIPTS / "verl-env"), "doctor", "--into", str(env), "--json"], of_doctor),
        Peer("uv pip check", [str(SCRIPTS / "uv"), "pip", "check", "--python", python], of_uv),
        Peer("pip check", pip, of_pip),
        Peer("vllm.collect_env", [python, "-m", "vllm.collect_env"], of_collect_env),
    ]


def measure(argv: Sequence[str]) -> Run:
    """Runs a command away from the sources of this project, which it could import by accident."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *argv], cwd="/", capture_output=True, text=True, check=False, env=os.environ
    )
    seconds = time.perf_counter() - start
    errors, _, peak = done.stderr.strip().rpartition("\n")
    return Run(seconds, int(peak) / 1024, done.returncode, f"{done.stdout}\n{errors}")


def of_doctor(output: str) -> str:
    """Findings by severity, with the roots."""
    document = json.loads(output[output.index("{") : output.rindex("}") + 1])
    severities = [finding["severity"] for finding in document["findings"]]
    counts = ", ".join(f"{severities.count(level)} {level}" for level in ("error", "warning", "info"))
    return f"{counts} of {document['checked']} checks: {', '.join(document['roots'])}"


def of_uv(output: str) -> str:
    """The count that uv prints itself."""
    match = re.search(r"Found (\d+) incompatibilit", output)
    return f"{match[1] if match else 0} unmet requirements"


def of_pip(output: str) -> str:
    """The lines of pip, one per unmet requirement."""
    lines = re.findall(r"^\S+ \S+ (?:has requirement|requires|is not supported)", output, re.MULTILINE)
    return f"{len(lines)} unmet requirements"


def of_collect_env(output: str) -> str:
    """It names no fault; what it has to say is a listing, or the traceback it died with."""
    if "Traceback" in output:
        return f"died: {output.strip().splitlines()[-1][:100]}"
    return f"nothing named; a listing of {len(output.splitlines())} lines"


if __name__ == "__main__":
    sys.exit(main())
