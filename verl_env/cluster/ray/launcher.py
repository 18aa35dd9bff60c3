"""The nodes of a Ray cluster that runs already, and one task of Ray on each as the way to them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from verl_env.cluster.errors import RayMissing, RayTooSmall, RayUnreachable
from verl_env.cluster.gather import Gathering
from verl_env.cluster.launcher import Heard
from verl_env.cluster.ray.client import NODES, SLACK, UNREACHED
from verl_env.cluster.stream import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: Seconds that the client has at least to connect: importing Ray from a network file system, and its own search for the
#: cluster. What a node has is the user's word for a slow site, so it counts here too.
_CONNECT = 90.0


@dataclass(frozen=True, slots=True)
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
        """Every node once; ``RayMissing``, ``RayUnreachable`` and ``RayTooSmall`` are what may keep from it."""
        listener = _Listener(self, names, seconds)
        self._run(listener, command, seconds=seconds, take=listener.answer, done=listener.complete, file=file)
        note = f"the cluster runs Ray {listener.version}"
        return Heard(listener.gathering, dict.fromkeys(listener.lost, "Ray has it as dead"), (note,))

    def broadcast(self, file: Path, to: Path, names: Sequence[str], *, seconds: float) -> None:
        """There is no better way: Ray's object store is what ``ask`` takes."""

    def head(self, names: Sequence[str]) -> str:  # noqa: ARG002
        return ""

    def spread(
        self,
        command: Sequence[str],
        names: Sequence[str],
        *,
        seconds: float,
        take: Callable[[bytes], None],
        done: Callable[[], bool],
    ) -> None:
        self._run(_Listener(self, names, seconds), command, seconds=seconds, take=take, done=done)

    def _run(
        self,
        listener: _Listener,
        command: Sequence[str],
        *,
        seconds: float,
        take: Callable[[bytes], None],
        done: Callable[[], bool],
        file: Path | None = None,
    ) -> None:
        if not any(self.environment.glob("lib/python3*/site-packages/ray/__init__.py")):
            raise RayMissing(str(self.environment))
        asked = {
            "address": self.address, "command": list(command), "seconds": seconds, "names": listener.names,
            "file": None if file is None else str(file),
        }  # fmt: skip
        with resources.as_file(resources.files("verl_env.cluster.ray").joinpath("client.py")) as client:
            stream(
                [str(self.environment / "bin" / "python"), "-u", str(client), json.dumps(asked)],
                seconds=listener.patience + seconds + SLACK,
                on_line=lambda line: listener.take(line, take),
                on_error=lambda line: listener.take(line, take),
                done=lambda: listener.late() or done(),
                env={**os.environ, "RAY_DEDUP_LOGS": "0"},
            )
        if not listener.begun:
            raise RayUnreachable(self.address, listener.last or f"no answer within {listener.patience:.0f} s")


class _Listener:
    """Takes the client's lines: first the nodes, then what each says."""

    def __init__(self, cluster: Ray, names: Sequence[str] | None, seconds: float) -> None:
        self.names = None if names is None else list(names)
        self.gathering = Gathering(())
        self.begun = False
        self.version = ""
        self.lost: tuple[str, ...] = ()
        self.last = ""
        self._cluster = cluster
        self._started = time.time()
        self.patience = max(_CONNECT, seconds)
        self._connect_by = time.monotonic() + self.patience

    def take(self, line: bytes, further: Callable[[bytes], None]) -> None:
        if self.begun:
            further(line)
        elif line.startswith(NODES.encode()):
            self._begin(json.loads(line[len(NODES) :]))
        elif line.strip():
            self.last = line.decode("utf-8", "replace").removeprefix(UNREACHED).strip()

    def answer(self, line: bytes) -> None:
        self.gathering.take(line)

    def complete(self) -> bool:
        return self.begun and self.gathering.complete

    def late(self) -> bool:
        """Whether the client has not connected in time."""
        return not self.begun and time.monotonic() > self._connect_by

    def _begin(self, told: dict[str, Any]) -> None:
        alive = list(told["nodes"])
        if self._cluster.nodes is not None and len(alive) < self._cluster.nodes:
            raise RayTooSmall(self._cluster.nodes, tuple(alive))
        there = alive if self.names is None else [name for name in self.names if name in alive]
        self.lost = tuple(told["dead"] if self.names is None else (name for name in self.names if name not in alive))
        self.gathering = Gathering([*there, *self.lost], started=self._started)
        self.gathering.failed.update(dict.fromkeys(self.lost, "Ray has it as dead"))
        self.version, self.begun = told["version"], True
