"""Installing beside bare uv commands on the same lock.

    python benchmarks/install.py FOLDER [RUNS]

FOLDER is an empty folder on the file system of uv's cache, which must hold the downloads already (install once before).
The machine is described, so no GPU is needed. Runs in the environment of the Python that runs this script, which must
have verl-env and uv.

1. ``install`` on a finished environment, beside ``uv pip sync`` on one: at most 1.0 of it after 300 ms.
2. A warm installation without import checks, beside ``uv venv`` and ``uv pip sync``: at most 1.15.
3. The same with import checks, beside uv and the same statements, each in an interpreter of its own: at most 1.15.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from pairs import Command, compare

from verl_env.locksets.catalogue import load_catalogue

SCRIPTS = Path(sys.executable).parent
VERL_ENV, UV = str(SCRIPTS / "verl-env"), str(SCRIPTS / "uv")
ASKED = ["--stack", "vllm", "--gpu", "h100", "--driver", "550.54.15", "--python", "3.10", "--native", "skip"]
ASKED += ["--lockset", "verl0.4-cu124-torch2.6-fa2.7.4/app.vllm.mcore0.12"]


def main() -> int:
    """Prints the figures; 1 when a limit is not kept."""
    folder, runs = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    done = subprocess.run([VERL_ENV, "plan", *ASKED, "--json"], check=True, capture_output=True)
    plan = json.loads(done.stdout)
    lock, ours, peer = folder / "lock.txt", folder / "ours", folder / "peer"
    lock.write_text("".join(map(requirement, plan["packages"])))
    install = [VERL_ENV, "install", *ASKED, "--into", str(ours), "--yes"]
    sync = [UV, "pip", "sync", "-q", "--require-hashes", str(lock)]
    bare = f"{shlex.join([UV, 'venv', '-q', '--python', plan['interpreter'], str(peer)])} && {shlex.join(sync)}"
    env = {**os.environ, "VIRTUAL_ENV": str(peer)}
    kept = []
    for flags, after in ((["--no-check"], ""), ([], checks(plan["lockset"], peer))):
        mine = Command(" ".join(["verl-env install, warm", *flags]), [*install, *flags], before=lambda: clear(ours))
        theirs = Command(
            "uv venv, uv pip sync" + ", checks" * bool(after), ["sh", "-c", bare + after], env, lambda: clear(peer)
        )
        kept.append(compare(mine, theirs, runs=runs, limit=1.15))
    kept.append(
        compare(
            Command("verl-env install, finished", install),
            Command("uv pip sync, finished", sync, env),
            runs=runs,
            limit=1.0,
            slack=0.3,
        )
    )
    clear(ours)
    clear(peer)
    return 0 if all(kept) else 1


def requirement(package: dict[str, object]) -> str:
    """The line of a package in a requirements file."""
    hashes = package["hashes"]
    assert isinstance(hashes, list)
    return f"{package['name']}=={package['version']} {' '.join(f'--hash={digest}' for digest in hashes)}\n"


def checks(lockset_id: str, environment: Path) -> str:
    """The checks of a lockset that need no GPU, as the rest of a shell command."""
    lockset = next(lockset for lockset in load_catalogue() if lockset.id == lockset_id)
    python = str(environment / "bin" / "python")
    return "".join(f" && {shlex.join([python, '-c', check.code])}" for check in lockset.checks if check.needs is None)


def clear(environment: Path) -> None:
    """Removes an environment, and its generations where it has some."""
    if environment.is_symlink():
        environment.unlink()
    for path in (environment, environment.with_name(f"{environment.name}.d")):
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
