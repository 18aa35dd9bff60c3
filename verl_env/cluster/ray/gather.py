"""One task on every node of a Ray cluster that runs already."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from verl_env.cluster.errors import RayMissing, RayUnreachable
from verl_env.cluster.gather import Gathering
from verl_env.cluster.ray.client import NODES, SLACK
from verl_env.cluster.stream import stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

#: Seconds for the client to connect: importing Ray from a network file system, and its own search for the cluster.
_CONNECT = 90.0
_MARK = NODES.encode()


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of the tasks; ``version`` is the cluster's Ray, ``dead`` nodes that have left it."""

    gathering: Gathering
    version: str
    dead: tuple[str, ...]


class _Listener:
    """Takes the client's lines: first the nodes, then what each says."""

    def __init__(self) -> None:
        self.gathering: Gathering | None = None
        self.version = ""
        self.dead: tuple[str, ...] = ()
        self.last = ""
        self._started = time.time()

    def take(self, line: bytes) -> None:
        if line.startswith(_MARK):
            self._begin(json.loads(line[len(_MARK) :]))
        elif self.gathering is not None:
            self.gathering.take(line)
        elif line.strip():
            self.last = line.decode("utf-8", "replace").strip()

    def done(self) -> bool:
        return self.gathering is not None and self.gathering.complete

    def _begin(self, told: dict[str, Any]) -> None:
        self.gathering = Gathering([*told["nodes"], *told["dead"]], started=self._started)
        self.version, self.dead = told["version"], tuple(told["dead"])
        for name in self.dead:
            self.gathering.failed[name] = "Ray has it as dead"


def gather(address: str, environment: Path, command: Sequence[str], *, seconds: float) -> Heard:
    """Runs a command on every node of the cluster at an address.

    Args:
        address: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        environment: The environment whose Ray reaches it.
        command: Answers as ``answers`` says.
        seconds: What each node has.

    Raises:
        RayMissing: the environment has no Ray.
        RayUnreachable: there is no cluster, or its client fails.
    """
    if not any(environment.glob("lib/python3*/site-packages/ray/__init__.py")):
        raise RayMissing(str(environment))
    listener = _Listener()
    asked = json.dumps({"address": address, "command": list(command), "seconds": seconds})
    with resources.as_file(resources.files("verl_env.cluster.ray").joinpath("client.py")) as client:
        argv = [str(environment / "bin" / "python"), "-u", str(client), asked]
        stream(
            argv,
            seconds=_CONNECT + seconds + SLACK,
            on_line=listener.take,
            on_error=listener.take,
            done=listener.done,
            env={**os.environ, "RAY_DEDUP_LOGS": "0"},
        )
    if listener.gathering is None:
        raise RayUnreachable(address, listener.last)
    return Heard(listener.gathering, listener.version, listener.dead)
