"""``verl-env plan --json`` on a recorded machine beside ``pip --version``: start-up time is a feature.

    python benchmarks/start_up.py [RUNS]

Both run in the environment of the Python that runs this script, which must have verl-env and pip.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from pairs import Command, compare

MACHINE = {
    "schema": 1,
    "host": {"os": "ubuntu", "os_version": "22.04", "arch": "x86_64", "glibc": "2.35", "wsl": False},
    "nvidia": {
        "driver": "550.54.15",
        "cuda": "12.4",
        "devices": [{"index": i, "name": "NVIDIA H100 80GB HBM3", "compute_capability": "9.0"} for i in range(8)],
    },
    "amd": None,
    "pythons": [{"version": "3.10.13", "path": "/usr/bin/python3.10"}],
}


def main() -> int:
    """Prints the figures; 1 when the limit is not kept."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    scripts = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        machine = Path(folder, "machine.json")
        machine.write_text(json.dumps(MACHINE))
        plan = [str(scripts / "verl-env"), "plan", "--stack", "vllm", "--machine", str(machine), "--json"]
        ours = Command("verl-env plan --stack vllm --machine F --json", plan)
        return (
            0
            if compare(ours, Command("pip --version", [str(scripts / "pip"), "--version"]), runs=runs, limit=0.6)
            else 1
        )


if __name__ == "__main__":
    sys.exit(main())
