"""Budgets in instructions: start-up, a plan, and the hook may cost 5 % more than is written down, and no more.

    make budgets                    1 where one is over, 2 where nothing could be compared
    python benchmarks/budgets.py --write   write down what it is now

callgrind counts the same on every run and on a busy machine, for one exact release of CPython: ``budgets.json`` has a
table for each, and with another one nothing is compared; CI uses one that is there. Runs in the environment of the
Python that runs this script, from the checkout, with bytecode in place.
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
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from parts import MACHINE, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

BUDGETS = ROOT / "benchmarks" / "budgets.json"
SLACK = 1.05
ANOTHER = "use that one (pyenv install, uv python install), or write down this one's (--write)"
START = "import sys; from verl_env.cli.main import run; run()"
RUNTIME = ROOT / "verl_env" / "runtime" / "src"
BINDING = ROOT / "verl_env" / "runtime" / "binding"


def main() -> int:
    """Counts, compares, or writes down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    python = platform.python_version()
    if python not in budgets and not args.write:
        return nothing_compared(f"budgets are of CPython {', '.join(sorted(budgets))}, and this is {python}: {ANOTHER}")
    if shutil.which("valgrind") is None:
        return nothing_compared("there is no valgrind here (Debian: apt install valgrind)")
    with tempfile.TemporaryDirectory() as room:
        found = counts(Path(room))
    if args.write:
        BUDGETS.write_text(json.dumps({**budgets, python: found}, indent=1, sort_keys=True) + "\n")
    lines, code = compared(found, found if args.write else budgets[python])
    print("\n".join(lines))
    return code


def nothing_compared(reason: str) -> int:
    """Says so; it is no success, as nothing was looked at."""
    print(f"nothing was compared: {reason}", file=sys.stderr)
    return 2


def compared(found: Mapping[str, int], budgets: Mapping[str, int]) -> tuple[list[str], int]:
    """A line for each figure beside its budget, and 1 where one is over, has no budget, or was not counted."""
    lines, over = [], budgets.keys() != found.keys()
    for name in sorted(budgets.keys() | found.keys()):
        count, budget = found.get(name), budgets.get(name)
        if count is None or budget is None:
            lines.append(f"{name:10} {'was not counted' if count is None else 'has no budget'}: OVER")
            continue
        much = count > SLACK * budget
        over = over or much
        lines.append(f"{name:10} {count:12,} instructions, {count / budget - 1:+.1%} of {budget:,}{': OVER' * much}")
    return lines, int(over)


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
        "binding": binding(room),
    }


def binding(room: Path) -> int:
    """What the start of any process of an environment takes more as it is bound to a generation."""
    generation, link = room / "env.d" / "0001", room / "env"
    venv.create(generation, symlinks=True)
    link.symlink_to(generation)
    bare = instructions(["-c", "pass"], {}, str(link / "bin" / "python"))
    for file in BINDING.glob("*_verl_env_generation.p*"):
        shutil.copy(file, next(generation.glob("lib/python3*/site-packages")))
    return instructions(["-c", "pass"], {}, str(link / "bin" / "python")) - bare


def instructions(arguments: list[str], variables: dict[str, str], python: str = sys.executable) -> int:
    """What callgrind counts of a Python with some arguments."""
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "LANG", "VIRTUAL_ENV"}}
    env = {**kept, "PYTHONHASHSEED": "0", "HOME": "/nowhere", "XDG_CONFIG_DIRS": "/nowhere", **variables}
    command = [python, *arguments]
    subprocess.run(command, env=env, check=True, capture_output=True)
    counted = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    done = subprocess.run(counted, env=env, check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


if __name__ == "__main__":
    sys.exit(main())
