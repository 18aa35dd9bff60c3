"""Budgets in instructions: start-up, a plan, and the hook may cost 5 % more than is written down, and no more.

    make budgets                    1 where one is over
    python benchmarks/budgets.py --write   write down what it is now

callgrind counts the same on every run and on a busy machine, for one release of CPython: ``budgets.json`` has a table
for each. Runs in the environment of the Python that runs this script, from the checkout, with bytecode in place.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from parts import MACHINE, ROOT

BUDGETS = ROOT / "benchmarks" / "budgets.json"
SLACK = 1.05
START = "import sys; from verl_env.cli.main import run; run()"
RUNTIME = ROOT / "verl_env" / "runtime" / "src"


def main() -> int:
    """Counts, compares, or writes down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("not counted: there is no valgrind here (Debian: apt install valgrind)")
        return 0
    with tempfile.TemporaryDirectory() as room:
        found = counts(Path(room))
    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    python = platform.python_version()
    if args.write:
        BUDGETS.write_text(json.dumps({**budgets, python: found}, indent=1, sort_keys=True) + "\n")
    known = budgets.get(python)
    if known is None and not args.write:
        print(f"no budget is written down for CPython {python}; there are {', '.join(sorted(budgets))}")
    return max([told(name, count, (known or found)[name], write=args.write) for name, count in found.items()])


def told(name: str, count: int, budget: int, *, write: bool) -> int:
    """Prints a figure beside its budget; 1 where it is over."""
    over = count > SLACK * budget and not write
    print(f"{name:10} {count:12,} instructions, {count / budget - 1:+.1%} of {budget:,}{': OVER' if over else ''}")
    return int(over)


def counts(room: Path) -> dict[str, int]:
    """Instructions of each; the first run of each, uncounted, writes its bytecode."""
    machine = room / "machine.json"
    machine.write_text(json.dumps(MACHINE))
    path = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(room / "bytecode")}
    hook = {"PYTHONPATH": str(RUNTIME), "PYTHONPYCACHEPREFIX": str(room / "bytecode")}
    bare = instructions(["-c", "pass"], hook)
    return {
        "start-up": instructions(["-c", START, "--version"], path),
        "plan": instructions(["-c", START, "plan", "--stack", "vllm", "--machine", str(machine), "--json"], path),
        "hook": instructions(["-c", "import _verl_env_boot"], hook) - bare,
    }


def instructions(arguments: list[str], variables: dict[str, str]) -> int:
    """What callgrind counts of this Python with some arguments."""
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "LANG", "VIRTUAL_ENV"}}
    env = {**kept, "PYTHONHASHSEED": "0", "HOME": "/nowhere", "XDG_CONFIG_DIRS": "/nowhere", **variables}
    command = [sys.executable, *arguments]
    subprocess.run(command, env=env, check=True, capture_output=True)
    counted = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    done = subprocess.run(counted, env=env, check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


if __name__ == "__main__":
    sys.exit(main())
