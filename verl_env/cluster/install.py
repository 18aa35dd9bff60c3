"""``cluster install``: a pack on the disk of every node, whole or not at all, and which nodes have it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verl_env.bundle.packing.image import kind_of
from verl_env.bundle.packing.peek import peek
from verl_env.cluster.command import node_command
from verl_env.cluster.model import Missing
from verl_env.cluster.node.stage import beside
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from verl_env.cluster.launcher import Launcher


_UNKNOWN = "nothing is known of it"


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
    """Which nodes have a pack now; ``way`` is what carried it: ``sbcast``, ``srun``, ``ray``, or nothing."""

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
    """An installation on the way; ``reasons`` are those of nodes that do not go on."""

    nodes: Launcher
    pack: Pack
    seconds: float
    expected: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    way: list[str] = field(default_factory=list)

    def step(self, step: str, names: Sequence[str] | None = None, *, stdin: bool = False) -> dict[str, str]:
        """Does a step on nodes, or on all; the state of each that answers."""
        file = self.pack.file if stdin else None
        heard = self.nodes.ask(self._command(step, stdin=stdin), seconds=self.seconds, names=names, file=file)
        self.expected = self.expected or heard.gathering.expected
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


def install(pack: Pack, nodes: Launcher, *, seconds: float) -> Staged:
    """Installs a pack on nodes; ``seconds`` is what each step of a node has.

    Raises:
        VerlEnvError: no node can be asked; what nodes answer is never an error.
    """
    started = time.monotonic()
    run = _Run(nodes, pack, seconds)
    checked = run.step("check")
    present = {name for name, state in checked.items() if state == "present"}
    installed = _carried(run, [name for name in run.expected if checked.get(name) == "ready"])
    have = installed | present
    missing = (Missing(name, run.reasons.get(name, _UNKNOWN)) for name in run.expected if name not in have)
    return Staged(
        pack=pack,
        expected=run.expected,
        installed=tuple(name for name in run.expected if name in installed),
        present=tuple(name for name in run.expected if name in present),
        failed=tuple(missing),
        way=tuple(run.way),
        seconds=time.monotonic() - started,
    )


def _carried(run: _Run, ready: list[str]) -> set[str]:
    """The nodes on which it was put in place, of those that have room for it.

    A broadcast ends for all when it fails for one; so what it did is seen on the nodes, and those that have no whole
    file get it through the launcher itself.
    """
    installed: set[str] = set()
    pack = run.pack
    way = run.nodes.broadcast(pack.file, beside(pack.to, pack.digest), ready, seconds=run.seconds) if ready else None
    if way is not None:
        run.way.append(way)
        states = run.step("finish", ready)
        installed = {name for name, state in states.items() if state == "installed"}
        ready = [name for name, state in states.items() if state == "absent"]
    if ready:
        run.way.append(run.nodes.carrier)
        states = run.step("finish", ready, stdin=True)
        installed |= {name for name, state in states.items() if state == "installed"}
        run.reasons |= {name: "what arrived is not the pack" for name, state in states.items() if state == "absent"}
    return installed
