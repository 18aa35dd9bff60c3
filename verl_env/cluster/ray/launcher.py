"""The nodes of a Ray cluster that runs already, and one task of Ray on each as the way to them."""

from __future__ import annotations

import json
import os
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

from verl_env.cluster.errors import RayMissingError, RayTooSmallError, RayUnreachableError
from verl_env.cluster.gather import Gathering
from verl_env.cluster.launcher import Heard, Together
from verl_env.cluster.ray.client import BEGUN, NODES, SLACK, STEP, UNREACHED
from verl_env.cluster.stream import stream
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: Seconds that the client has at least to connect (importing Ray from a network file system, its own search for the
#: cluster), and Ray then to start a worker on each node. What a node has is the user's word for a slow site, so it
#: counts here too.
_CONNECT = 90.0
#: Seconds of Ray itself from which on they are told.
_SLOW = 10.0


@record
class Ray:
    """For the methods see ``Launcher``.

    Args:
        address: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        environment: The environment whose Ray reaches it.
        nodes: How many nodes it must have; None for any number.
    """

    address: str
    environment: Path
    nodes: int | None = None
    carrier: str = "ray"

    def ask(
        self, command: Sequence[str], *, seconds: float, names: Sequence[str] | None = None, file: Path | None = None
    ) -> Heard:
        """Every node once; ``RayMissingError``, ``RayUnreachableError``, ``RayTooSmallError`` may keep from it."""
        listener = _Listener(self, names, seconds)
        self._run(listener, Together(command, (), seconds, listener.answer, listener.complete), file=file)
        return Heard(listener.gathering, dict.fromkeys(listener.lost, "Ray has it as dead"), listener.notes())

    def broadcast(self, file: Path, to: Path, names: Sequence[str], *, seconds: float) -> None:
        """There is no better way: Ray's object store is what ``ask`` takes."""

    def head(self, names: Sequence[str]) -> str:  # noqa: ARG002
        return ""

    def spread(self, work: Together) -> None:
        self._run(_Listener(self, work.names, work.seconds), work, together=True)

    def _run(self, listener: _Listener, work: Together, *, file: Path | None = None, together: bool = False) -> None:
        if not any(self.environment.glob("lib/python3*/site-packages/ray/__init__.py")):
            raise RayMissingError(str(self.environment))
        asked = {
            "address": self.address, "command": list(work.command), "seconds": work.seconds, "names": listener.names,
            "file": None if file is None else str(file), "patience": listener.patience, "together": together,
        }  # fmt: skip
        with resources.as_file(resources.files("verl_env.cluster.ray").joinpath("client.py")) as client:
            stream(
                [str(self.environment / "bin" / "python"), "-u", str(client), json.dumps(asked)],
                seconds=2 * listener.patience + work.seconds + 2 * SLACK,
                on_line=lambda line: listener.take(line, work.take),
                on_error=lambda line: listener.take(line, work.take),
                done=lambda: listener.late() or work.done(),
                env={**os.environ, "RAY_DEDUP_LOGS": "0"},
            )
        if not listener.begun:
            raise RayUnreachableError(self.address, listener.silence())


class _Listener:
    """Takes the client's lines: first the nodes, then what each says."""

    def __init__(self, cluster: Ray, names: Sequence[str] | None, seconds: float) -> None:
        self.names = None if names is None else list(names)
        self.gathering = Gathering(())
        self.begun = False
        self.version = ""
        self.lost: tuple[str, ...] = ()
        self._last = self._unreached = ""
        self._step = ""
        self._connected = self._begun = 0.0
        self._cluster = cluster
        self._started = time.time()
        self.patience = max(_CONNECT, seconds)
        self._connect_by = time.monotonic() + self.patience

    def take(self, line: bytes, further: Callable[[bytes], None]) -> None:
        if line.startswith(BEGUN.encode()):
            self._begun = max(self._begun, float(line[len(BEGUN) :]))
        elif self.begun:
            further(line)
        elif line.startswith(STEP.encode()):
            self._step = line[len(STEP) :].decode().strip()
        elif line.startswith(NODES.encode()):
            self._begin(json.loads(line[len(NODES) :]))
        elif line.startswith(UNREACHED.encode()):
            self._unreached = line[len(UNREACHED) :].decode("utf-8", "replace").strip()
        elif line.strip():
            self._last = line.decode("utf-8", "replace").strip()

    def answer(self, line: bytes) -> None:
        self.gathering.take(line)

    def complete(self) -> bool:
        return self.begun and self.gathering.complete

    def notes(self) -> tuple[str, ...]:
        """What is said beside the answers: the cluster's Ray, and what Ray itself took where that is much."""
        runs = f"the cluster runs Ray {self.version}"
        if max(self._connected, self._begun) < _SLOW:
            return (runs,)
        took = (
            f"Ray took {self._connected:.0f} s to let its client in, and up to {self._begun:.0f} s to start on a node"
        )
        return runs, took

    def silence(self) -> str:
        """Why there is no cluster: what the client said last, else where it was at its deadline."""
        if self._unreached:
            return self._unreached
        said = f"; it said: {self._last}" if self._last else ""
        where = f" ({self._step})" if self._step else ""
        return f"no answer within {self.patience:.0f} s{where}{said}"

    def late(self) -> bool:
        """Whether the client has not connected in time."""
        return not self.begun and time.monotonic() > self._connect_by

    def _begin(self, told: dict[str, Any]) -> None:
        alive = list(told["nodes"])
        if self._cluster.nodes is not None and len(alive) < self._cluster.nodes:
            raise RayTooSmallError(self._cluster.nodes, tuple(alive))
        there = alive if self.names is None else [name for name in self.names if name in alive]
        self.lost = tuple(told["dead"] if self.names is None else (name for name in self.names if name not in alive))
        self.gathering = Gathering([*there, *self.lost], started=self._started)
        self.gathering.failed.update(dict.fromkeys(self.lost, "Ray has it as dead"))
        self.version, self.begun, self._connected = told["version"], True, told["seconds"]
