"""Runs a command on nodes of a Ray cluster. A child of the target environment's interpreter starts this file.

Its one argument is a JSON object: ``address``, ``command``, ``seconds`` that a node has, ``names`` of the nodes (null
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
FAILED = 'verl-env-answer {"schema":1,"node":%s,"failed":"ray","why":%s}'
#: Seconds beyond that of the command itself: Ray starts a worker for it, and may install a runtime environment.
SLACK = 45.0
#: Seconds for the port of the cluster to answer: Ray's own client tries for minutes where nobody listens.
_KNOCK = 10.0
#: Bytes of one object: every store of the cluster holds one, and nodes fetch it from each other.
_CHUNK = 32 << 20


def main() -> None:
    """Connects, names the nodes, and gives each one task."""
    import ray  # noqa: PLC0415  of the target environment

    asked = json.loads(sys.argv[1])
    try:
        knock(asked["address"])
        ray.init(address=asked["address"], log_to_driver=False, logging_level="ERROR", namespace="verl-env")
    except Exception as error:  # noqa: BLE001  whatever it is, it is why there is no cluster
        say(UNREACHED + " ".join(f"{error or type(error).__name__}".split()))
        sys.exit(1)
    alive, dead = named(ray.nodes())
    say(NODES + json.dumps({"version": ray.__version__, "nodes": list(alive), "dead": dead}))
    if asked["names"] is not None:
        alive = {name: alive[name] for name in asked["names"] if name in alive}
    tasks = given(ray, asked, alive)
    collect(ray, tasks, time.monotonic() + asked["seconds"] + SLACK)
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


def given(ray: Any, asked: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> dict[Any, tuple[int, str]]:
    """A task on each node and on no other; the rank and the name of each."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    chunks = stored(ray, asked["file"])
    tasks = {}
    for rank, (name, node) in enumerate(nodes.items()):
        variables = {"VERL_ENV_NODE": name, "VERL_ENV_RANK": str(rank), "VERL_ENV_RAY": ray.__version__}
        variables["VERL_ENV_HEAD"] = next(iter(nodes.values()))["NodeManagerAddress"]
        strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        start = ray.remote(on_node).options(num_cpus=0, max_retries=0, scheduling_strategy=strategy)
        tasks[start.remote(asked["command"], variables, asked["seconds"], chunks)] = rank, name
    return tasks


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


def collect(ray: Any, tasks: dict[Any, tuple[int, str]], deadline: float) -> None:
    """Prints what the tasks return as they end; what has not ended at the deadline is left."""
    left = list(tasks)
    while left and time.monotonic() < deadline:
        ready, left = ray.wait(left, timeout=1.0)
        for task in ready:
            rank, name = tasks[task]
            try:
                label = b"%d: " % rank
                sys.stdout.buffer.write(b"".join(label + line + b"\n" for line in ray.get(task).split(b"\n")))
                sys.stdout.buffer.flush()
            except Exception as error:  # noqa: BLE001  whatever came of a node is its answer
                why = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
                say(FAILED % (json.dumps(name), json.dumps(why)))


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
