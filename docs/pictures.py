"""Pictures of the terminal, from real runs: each command runs here, and what it prints becomes an SVG by rich.

python docs/pictures.py [NAME...]
"""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURES = Path(__file__).parent / "pictures"
WIDTH = 100
LOG = """Traceback (most recent call last):
  File "/home/me/train.py", line 3, in <module>
    import flash_attn
  File "/home/me/.venv/lib/python3.12/site-packages/flash_attn/__init__.py", line 3, in <module>
    from flash_attn.flash_attn_interface import flash_attn_func
  File "/home/me/.venv/lib/python3.12/site-packages/flash_attn/flash_attn_interface.py", line 15, in <module>
    import flash_attn_2_cuda as flash_attn_gpu
ImportError: /home/me/.venv/lib/python3.12/site-packages/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so: \
undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE
"""
HOST = {"os": "ubuntu", "os_version": "22.04", "arch": "x86_64", "glibc": "2.35", "wsl": False}
PYTHONS = [{"version": "3.12.3", "path": "/usr/bin/python3.12"}]
#: The machines by file: GPU, compute capability, driver.
NODES = {
    "node.json": ("NVIDIA H100 80GB HBM3", "9.0", "580.95.05"),
    "old.json": ("Tesla V100-SXM2-32GB", "7.0", "550.54.15"),
}
#: The command lines, for machines that are described, so that every host gives the same pictures.
COMMANDS = {
    "plan": "verl-env plan --stack vllm --machine node.json",
    "refusal": "verl-env plan --stack vllm --machine old.json",
    "find": "verl-env find flash-attn --torch 2.8.0 --cuda 12.8 --python 3.12 --gpu h100 --glibc 2.35",
    "doctor": "verl-env doctor --report traceback.txt --gpu h100 --driver 580.95.05",
}


def main() -> int:
    """Draws them all, or those that are named."""
    PICTURES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or COMMANDS:
        (PICTURES / f"{name}.svg").write_text(picture(name, COMMANDS[name]), encoding="utf-8")
        print(f"wrote docs/pictures/{name}.svg")
    return 0


def picture(name: str, line: str) -> str:
    """What a command prints on a terminal of ``WIDTH`` columns."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold green]$[/] {line}", highlight=False)
    console.print(Text.from_ansi(printed(line)), soft_wrap=False)
    return console.export_svg(title="verl-env", unique_id=name)


def machine(gpu: str, capability: str, driver: str) -> dict[str, object]:
    """A recorded machine with eight GPUs."""
    devices = [{"index": number, "name": gpu, "compute_capability": capability} for number in range(8)]
    nvidia = {"driver": driver, "devices": devices}
    return {"schema": 1, "host": HOST, "nvidia": nvidia, "amd": None, "toolchain": {}, "pythons": PYTHONS}


def printed(line: str) -> str:
    """Both outputs of a command, with colour."""
    program = [sys.executable, "-c", "from verl_env.cli.main import run; run()"]
    with tempfile.TemporaryDirectory() as room:
        Path(room, "traceback.txt").write_text(LOG)
        for file, facts in NODES.items():
            Path(room, file).write_text(json.dumps(machine(*facts)))
        env = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
        done = subprocess.run(
            [*program, *shlex.split(line)[1:]],
            env=env,
            cwd=room,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode not in {0, 1}:
        raise SystemExit(f"{line} failed: {done.stdout.decode()}")
    return done.stdout.decode()


if __name__ == "__main__":
    sys.exit(main())
