"""``cluster install``: a pack or a bundle on the disk of every node, whole or not at all, and which nodes have it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from verl_env.bundle.manifest import to_bytes
from verl_env.bundle.packing.errors import PackInvalidError
from verl_env.bundle.packing.image import kind_of
from verl_env.bundle.packing.peek import peek
from verl_env.bundle.use import open_bundle
from verl_env.cluster.command import node_command
from verl_env.cluster.model import MissingNode
from verl_env.cluster.node.stage import beside
from verl_env.records import record
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from verl_env.cluster.launcher import Launcher


_UNKNOWN = "nothing is known of it"


@record
class StagingPack:
    """What is to be installed, and where; ``need`` is the room that a node must have, in bytes.

    ``origin`` is the digest that an installed one is known by: that of the pack, or of the manifest of a bundle.
    """

    file: Path
    to: Path
    digest: str
    origin: str
    size: int
    need: int
    kind: str


@record
class StagedNodes:
    """Which nodes have a pack now; ``way`` is what carried it: ``sbcast``, ``srun``, ``ray``, or nothing."""

    pack: StagingPack
    expected: tuple[str, ...]
    installed: tuple[str, ...]
    present: tuple[str, ...]
    failed: tuple[MissingNode, ...]
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
    pack: StagingPack
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
            "step": step, "to": str(pack.to), "digest": pack.digest, "origin": pack.origin, "size": pack.size,
            "need": pack.need, "kind": pack.kind, "stdin": stdin,
        }  # fmt: skip
        return node_command("stage", [json.dumps(asked)], seconds=self.seconds)


def read(file: Path, to: Path) -> StagingPack:
    """A pack, or a bundle as one file, as it is to be installed.

    Raises:
        PackInvalidError: it is neither.
        BundleInvalidError: it is a tar file, and no bundle.
    """
    if file.is_dir():
        raise PackInvalidError(file, "it is a directory; make one file of a bundle: verl-env bundle -o FILE.tar ...")
    if is_plain_tar(file):
        manifest = open_bundle(file).manifest
        kind, unpacked, origin = "bundle", manifest.bytes, sha256(to_bytes(manifest)).hexdigest()
    else:
        described = peek(file)
        kind, unpacked, origin = kind_of(file), 0 if described is None else described.bytes, ""
    size, digest = file.stat().st_size, file_sha256(file)
    return StagingPack(file, to, digest, origin or digest, size, size + unpacked, kind)


def is_plain_tar(file: Path) -> bool:
    """Whether a file begins as a tar file without compression does (POSIX.1-1988, ustar: the magic of its header)."""
    try:
        with file.open("rb") as opened:
            return opened.read(262)[257:] == b"ustar"
    except OSError:
        return False


def install(pack: StagingPack, nodes: Launcher, *, seconds: float) -> StagedNodes:
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
    missing = (MissingNode(name, run.reasons.get(name, _UNKNOWN)) for name in run.expected if name not in have)
    return StagedNodes(
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
