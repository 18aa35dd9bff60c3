"""``cluster install``: a pack on the disk of every node, whole or not at all, and which nodes have it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from verl_env.bundle.packing.image import kind_of
from verl_env.bundle.packing.peek import peek
from verl_env.cluster.command import node_command
from verl_env.cluster.model import Missing
from verl_env.cluster.node.stage import beside
from verl_env.cluster.slurm.allocation import allocation
from verl_env.cluster.slurm.gather import gather
from verl_env.cluster.slurm.sbcast import broadcast
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from verl_env.cluster.slurm.allocation import Allocation, Wish


@dataclass(frozen=True, slots=True)
class Pack:
    """What is to be installed, and where; ``need`` is the room that a node must have, in bytes."""

    file: Path
    to: Path
    digest: str
    size: int
    need: int
    kind: str


@dataclass(frozen=True, slots=True)
class Staged:
    """Which nodes have a pack now; ``way`` is what carried it: ``sbcast``, ``srun``, both, or nothing."""

    pack: Pack
    expected: tuple[str, ...]
    installed: tuple[str, ...]
    present: tuple[str, ...]
    failed: tuple[Missing, ...]
    way: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every expected node has it."""
        return bool(self.expected) and not self.failed


@dataclass(slots=True)
class _Run:
    """The nodes of an allocation on the way; ``reasons`` are those of nodes that do not go on."""

    nodes: Allocation
    pack: Pack
    seconds: float
    reasons: dict[str, str] = field(default_factory=dict)
    way: list[str] = field(default_factory=list)

    def step(self, names: Sequence[str], step: str, *, stdin: bool = False) -> dict[str, str]:
        """Does a step on nodes; the state of each that answers."""
        if not names:
            return {}
        allocated = replace(self.nodes, nodes=tuple(names), expected=tuple(names), reasons={})
        command = self._command(step, stdin=stdin)
        with self.pack.file.open("rb") if stdin else contextlib.nullcontext() as source:
            heard = gather(allocated, command, seconds=self.seconds, stdin=source)
        otherwise = f"no answer within {self.seconds:.0f} s"
        self.reasons |= {each.node: each.reason for each in heard.gathering.missing(heard.reasons, otherwise=otherwise)}
        return {node: str(group.aspects.get("state")) for group in heard.gathering.groups() for node in group.nodes}

    def _command(self, step: str, *, stdin: bool) -> list[str]:
        pack = self.pack
        asked: dict[str, Any] = {
            "step": step, "to": str(pack.to), "digest": pack.digest, "size": pack.size, "need": pack.need,
            "kind": pack.kind, "stdin": stdin,
        }  # fmt: skip
        return node_command("stage", [json.dumps(asked)], seconds=self.seconds)


def read(file: Path, to: Path) -> Pack:
    """A pack as it is to be installed.

    Raises:
        PackInvalid: it is none.
    """
    kind, described = kind_of(file), peek(file)
    size = file.stat().st_size
    return Pack(file, to, file_sha256(file), size, size + (0 if described is None else described.bytes), kind)


def by_slurm(pack: Pack, wish: Wish, *, seconds: float) -> Staged:
    """Installs a pack on nodes through Slurm; ``seconds`` is what each step of a node has.

    Raises:
        VerlEnvError: no node can be asked; what nodes answer is never an error.
    """
    with allocation(wish, os.environ) as nodes:
        started = time.monotonic()
        run = _Run(nodes, pack, seconds, dict(nodes.reasons))
        checked = run.step(nodes.nodes, "check")
        present = tuple(name for name, state in checked.items() if state == "present")
        installed = _carried(run, [name for name, state in checked.items() if state == "ready"])
        seconds = time.monotonic() - started
    expected = tuple(dict.fromkeys((*nodes.expected, *nodes.nodes)))
    have = {*present, *installed}
    failed = [Missing(name, run.reasons.get(name, "nothing is known of it")) for name in expected if name not in have]
    ordered = [tuple(name for name in expected if name in names) for names in (installed, present)]
    return Staged(pack, expected, ordered[0], ordered[1], tuple(failed), tuple(run.way), seconds)


def _carried(run: _Run, ready: list[str]) -> list[str]:
    """The nodes on which it was put in place, of those that have room for it.

    sbcast goes to all nodes of a job or to none, and ends for all when it fails for one; so what it did is seen on the
    nodes, and those that have no whole file get it through one srun.
    """
    installed: list[str] = []
    if ready and set(ready) == set(run.nodes.job_nodes):
        run.way.append("sbcast")
        broadcast(run.nodes.job, run.pack.file, beside(run.pack.to, run.pack.digest), seconds=run.seconds)
        states = run.step(ready, "finish")
        installed = [name for name, state in states.items() if state == "installed"]
        ready = [name for name, state in states.items() if state == "absent"]
    if ready:
        run.way.append("srun")
        states = run.step(ready, "finish", stdin=True)
        installed += [name for name, state in states.items() if state == "installed"]
        run.reasons |= {name: "what arrived is not the pack" for name, state in states.items() if state == "absent"}
    return installed
