"""Times commands in turn, A B C A B C ..., each by its wall time and the processor time of it and its children.

Absolute times of a shared machine mean little; the ratio of commands that ran side by side does, and processor time
does where others keep the machine busy.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Command:
    """A command to time; ``before`` runs untimed ahead of each run; ``codes`` are the exit codes that are well."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    before: Callable[[], None] | None = None
    codes: tuple[int, ...] = (0,)


@dataclass
class Series:
    """What was measured of one command; ``x`` is the size that it was measured at, where one grows."""

    name: str
    x: int | None = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        rounded = {"wall": [round(each, 4) for each in self.wall], "cpu": [round(each, 4) for each in self.cpu]}
        return {"name": self.name, **({} if self.x is None else {"x": self.x}), **rounded}


def in_turn(commands: Sequence[Command], runs: int, x: int | None = None) -> list[Series]:
    """Runs all commands, a round that is not counted and ``runs`` that are."""
    found = [Series(command.name, x) for command in commands]
    for count in range(runs + 1):
        for command, series in zip(commands, found, strict=True):
            wall, cpu = once(command)
            if count:
                series.wall.append(wall)
                series.cpu.append(cpu)
    return found


def once(command: Command) -> tuple[float, float]:
    """Wall and processor seconds of one run; one that fails ends the benchmark."""
    if command.before is not None:
        command.before()
    env = {key: value for key, value in (command.env or os.environ).items() if not key.startswith("PYTHON")}
    start = time.perf_counter()
    process = subprocess.Popen(
        command.argv, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in command.codes:
        raise SystemExit(f"{command.name} failed ({process.returncode}): {' '.join(map(str, command.argv))}")
    return wall, used.ru_utime + used.ru_stime


def ratio(ours: Series, peer: Series, of: str = "wall") -> float:
    """The median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(getattr(ours, of), getattr(peer, of), strict=True))
