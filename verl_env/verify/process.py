"""One program of a proof: a deadline, its log, and nothing of it left afterwards.

Ray starts daemons in sessions of their own, which no process group reaches. So every process of a part carries a
variable with a value of its own, and whoever has it at the end is killed.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.machine.child import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.machine.process import Outcome

#: The variable that marks the processes of a part.
MARK = "VERL_ENV_VERIFY_MARK"
#: Seconds that killed processes have to go; what is still there then sleeps in the kernel and is left.
_GO = 5.0


def run_marked(argv: Sequence[str], env: Mapping[str, str], *, seconds: float, mark: str) -> Outcome:
    """Runs a program to its end or its deadline, and ends all that it left behind."""
    try:
        return run(argv, env={**env, MARK: mark}, deadline=time.monotonic() + seconds, max_bytes=64 << 20)
    finally:
        end_marked(mark)


def end_marked(mark: str) -> list[int]:
    """Kills every process with a mark and waits a moment for them; those that are still there."""
    until = time.monotonic() + _GO
    while left := marked(mark):
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            return left
        time.sleep(0.05)
    return []


def marked(mark: str, proc: Path = Path("/proc")) -> list[int]:
    """The processes whose environment has a mark; zombies have none."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in proc.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
