"""Runs a command on nodes of a Ray cluster. A child of the target environment's interpreter starts this file.

Its one argument is a JSON object: ``address``, ``command``, ``seconds`` that a node has for it, ``patience`` for Ray to
start a worker on a node, ``together`` whether the command waits until all nodes have one, ``names`` of the nodes (null
for all), ``file`` that every task reads from its stdin (null for nothing). First it prints the nodes behind a mark of
their own, then the output of each node when its task has ended, the rank of the task before each line. It stands
alone: the environment has Ray, and nothing of verl-env.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

NODES = "verl-env-nodes "
UNREACHED = "verl-env-unreached "
#: What it does while it is not connected, and after how many seconds a node had a worker.
STEP = "verl-env-step "
BEGUN = "verl-env-begun "
FAILED = 'verl-env-answer {"schema":1,"node":%s,"failed":"ray","why":%s}'
#: Seconds beyond that of the command itself: its worker may be gone, and a runtime environment has to be made.
SLACK = 45.0
#: Seconds for the port of the cluster to answer: Ray's own client tries for minutes where nobody listens.
_KNOCK = 10.0
#: Bytes of one object: every store of the cluster holds one, and nodes fetch it from each other.
_CHUNK = 32 << 20


def main() -> None:
    """Connects, names the nodes, and has each run the command."""
    asked, started = json.loads(sys.argv[1]), time.monotonic()
    say(STEP + "its client was still importing Ray")
    import ray  # noqa: PLC0415  of the target environment

    say(STEP + f"its client was still connecting; to import Ray took {time.monotonic() - started:.0f} s")
    try:
        knock(asked["address"])
        ray.init(address=asked["address"], log_to_driver=False, logging_level="ERROR", namespace="verl-env")
    except Exception as error:  # noqa: BLE001  whatever it is, it is why there is no cluster
        say(UNREACHED + " ".join(f"{error or type(error).__name__}".split()))
        sys.exit(1)
    alive, dead = named(ray.nodes())
    seconds = time.monotonic() - started
    say(NODES + json.dumps({"version": ray.__version__, "nodes": list(alive), "dead": dead, "seconds": seconds}))
    if asked["names"] is not None:
        alive = {name: alive[name] for name in asked["names"] if name in alive}
    follow(ray, asked, alive)
    sys.stdout.flush()
    # What hangs in a worker must not hang the exit of its driver.
    os._exit(0)


def knock(address: str) -> None:
    """Whether anything listens at HOST:PORT.

    Raises:
        OSError: nothing does.
    """
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "://" not in address:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()


def named(nodes: list[dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Living nodes by name, in the order of the names, and the names of nodes that are dead and have no successor."""
    names = [node.get("NodeName") or node["NodeManagerAddress"] for node in nodes if node["Alive"]]
    alive = {}
    for node in nodes:
        if node["Alive"]:
            name = node.get("NodeName") or node["NodeManagerAddress"]
            alive[name if names.count(name) == 1 else f"{name}-{node['NodeID'][:8]}"] = node
    dead = {node.get("NodeName") or node["NodeManagerAddress"] for node in nodes if not node["Alive"]}
    return dict(sorted(alive.items())), sorted(dead - set(names))


def follow(ray: Any, asked: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> None:
    """Asks each node for a worker, then has it run the command; prints what comes of it, as it comes.

    What a node has for the command counts from when Ray started a worker there, which may take long on a busy cluster.
    """
    tasks = Tasks(ray, asked, nodes)
    while tasks.starting or tasks.running:
        for task in ray.wait([*tasks.starting, *tasks.running], timeout=1.0)[0]:
            tasks.ended(task)
        tasks.give_up(time.monotonic())
        if not (asked["together"] and tasks.starting):
            tasks.run()


class Tasks:
    """Those that ask for a worker and those that run the command, each with the rank and the name of its node."""

    def __init__(self, ray: Any, asked: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> None:
        self._ray, self._asked, self._nodes = ray, asked, nodes
        self._chunks = stored(ray, asked["file"])
        self._variables = {"VERL_ENV_RAY": ray.__version__, "VERL_ENV_HEAD": head_of(nodes)}
        self._begin, self._run = ray.remote(began), ray.remote(on_node)
        self._started = time.monotonic()
        self._ready: list[tuple[int, str]] = []
        self.running: dict[Any, tuple[int, str, float]] = {}
        self.starting = {
            self._begin.options(**only_on(node)).remote(): (rank, name)
            for rank, (name, node) in enumerate(nodes.items())
        }

    def ended(self, task: Any) -> None:
        """Prints what came of a task; a node that has a worker is ready."""
        if task in self.running:
            outcome(self._ray, task, *self.running.pop(task)[:2])
            return
        rank, name = self.starting.pop(task)
        if outcome(self._ray, task, rank, name):
            say(BEGUN + f"{time.monotonic() - self._started:.1f}")
            self._ready.append((rank, name))

    def run(self) -> None:
        """Starts the command on the nodes that are ready."""
        for rank, name in self._ready:
            own = {**self._variables, "VERL_ENV_NODE": name, "VERL_ENV_RANK": str(rank)}
            start = self._run.options(**only_on(self._nodes[name]))
            task = start.remote(self._asked["command"], own, self._asked["seconds"], self._chunks)
            self.running[task] = rank, name, time.monotonic() + self._asked["seconds"] + SLACK
        self._ready.clear()

    def give_up(self, now: float) -> None:
        """Leaves what has not ended in its time, and says so."""
        patience, limit = self._asked["patience"], self._asked["seconds"] + SLACK
        if now > self._started + patience:
            for _, name in self.starting.values():
                fail(name, f"Ray started no worker on it within {patience:.0f} s")
            self.starting.clear()
        for task in [task for task, (_, _, end) in self.running.items() if now > end]:
            fail(self.running.pop(task)[1], f"Ray gave back nothing of its task within {limit:.0f} s")


def head_of(nodes: dict[str, dict[str, Any]]) -> str:
    """The address of the first node; empty for none."""
    return next((str(node["NodeManagerAddress"]) for node in nodes.values()), "")


def only_on(node: dict[str, Any]) -> dict[str, Any]:
    """The options of a task for this node and no other, outside of Ray's resources."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
    return {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": strategy}


def began() -> bytes:
    """Nothing: that it comes back is what is to be known."""
    return b""


def stored(ray: Any, path: str | None) -> list[Any] | None:
    """A file in Ray's object store, in pieces; None for none."""
    if path is None:
        return None
    with open(path, "rb") as file:  # noqa: PTH123  pathlib is one import more on every node
        return [ray.put(chunk) for chunk in iter(lambda: file.read(_CHUNK), b"")]


def on_node(command: list[str], variables: dict[str, str], seconds: float, chunks: list[Any] | None) -> bytes:
    """The output of a command on this node, as far as it came."""
    import ray  # noqa: PLC0415

    env = {**os.environ, **variables}
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        if not env.get(name):  # Ray hides the GPUs from a task that asked for none
            env.pop(name, None)
    source = subprocess.DEVNULL if chunks is None else subprocess.PIPE
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, env=env, stdin=source, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                for chunk in chunks or ():
                    stdin.write(ray.get(chunk))
        try:
            process.wait(seconds + 15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        return output.read()


def outcome(ray: Any, task: Any, rank: int, name: str) -> bool:
    """Prints what a task returned, or why there is nothing; whether there is something."""
    try:
        text, label = ray.get(task), b"%d: " % rank
    except Exception as error:  # noqa: BLE001  whatever came of a node is its answer
        fail(name, f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}")
        return False
    sys.stdout.buffer.write(b"".join(label + line + b"\n" for line in text.split(b"\n") if line))
    sys.stdout.buffer.flush()
    return True


def fail(name: str, why: str) -> None:
    """Says of a node why it has no answer."""
    say(FAILED % (json.dumps(name), json.dumps(why)))


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
