"""Measures, beside peers in the same run, and writes docs/performance.md from the data.

    make bench                      every part that this machine can measure
    make bench ONLY="plan nothing"  some of them; of the others the last figures stay, with their date
    make bench ENV=.venv            with an environment to look at, made by: verl-env install STACK --native skip

Data go to benchmarks/results/PART.json; the page and its plots are made of them alone (--page writes it again).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from page import RESULTS, write_page
from parts import PARTS, ROOT, NotHereError, World

from verl_env.uv_program import uv_program


def main() -> int:
    """Runs the parts; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--env", type=Path, help="an environment that verl-env made")
    parser.add_argument(
        "--stack", default="--stack vllm+sglang --verl 0.4 --python 3.10", help="the flags that made it"
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page from what is there")
    args = parser.parse_args()
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    kept = True
    if not args.page:
        with tempfile.TemporaryDirectory(prefix="verl-env-bench-") as name:
            world = make_world(Path(name), args)
            kept = min([measured(part, world) for part in args.parts or PARTS])
    write_page()
    return 0 if kept else 1


def make_world(room: Path, args: argparse.Namespace) -> World:
    """verl-env from its wheel, with bytecode: a checkout without it takes half as long again."""
    uv, tool = str(uv_program()), room / "tool"
    subprocess.run([uv, "build", "-q", "--wheel", "--out-dir", room, ROOT], check=True)
    (wheel,) = room.glob("*.whl")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, tool], check=True)
    install = [uv, "pip", "install", "-q", "--python", tool / "bin" / "python", "--compile-bytecode"]
    subprocess.run([*install, f"verl-env[uv,cluster] @ {wheel.as_uri()}"], check=True)
    env = None if args.env is None else args.env.absolute()
    return World(room, tool / "bin", env, tuple(shlex.split(args.stack)), args.runs)


def measured(part: str, world: World) -> bool:
    """Measures a part and keeps its data; whether its limits were kept. What cannot be measured here keeps the last."""
    print(part, flush=True)
    try:
        result = PARTS[part](world).to_json()
    except NotHereError as error:
        print(f"  not measured here: {error}")
        return True
    data = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        **result,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{part}.json").write_text(json.dumps(data, indent=1) + "\n")
    for limit in data["limits"]:
        verdict = "kept" if limit["kept"] else "NOT KEPT"
        print(f"  {limit['what']}: {limit['value']:.3g}, at most {limit['limit']:.3g}: {verdict}")
    return all(limit["kept"] for limit in data["limits"])


if __name__ == "__main__":
    sys.exit(main())
