"""Runs a command on every node of a Ray cluster. A child of the target environment's interpreter starts this file.

Its one argument is a JSON object: ``address``, ``command``, and ``seconds`` that a node has. First it prints the nodes
behind a mark of their own, then the output of the command on each node, as it comes. It stands alone: the environment
has Ray, and nothing of verl-env.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

NODES = "verl-env-nodes "
FAILED = 'verl-env-answer {"schema":1,"node":%s,"failed":"ray","why":%s}'
#: Seconds beyond that of the command itself: Ray starts a worker for it, and may install a runtime environment.
SLACK = 45.0


def main() -> None:
    """Connects, names the nodes, and gives each one task."""
    import ray  # noqa: PLC0415  of the target environment

    asked = json.loads(sys.argv[1])
    ray.init(address=asked["address"], log_to_driver=False, logging_level="ERROR", namespace="verl-env")
    alive, dead = named(ray.nodes())
    say(NODES + json.dumps({"version": ray.__version__, "nodes": list(alive), "dead": dead}))
    tasks = {}
    for rank, (name, node) in enumerate(alive.items()):
        variables = {"VERL_ENV_NODE": name, "VERL_ENV_RANK": str(rank), "VERL_ENV_RAY": ray.__version__}
        tasks[start(ray, node).remote(asked["command"], variables, asked["seconds"])] = name
    collect(ray, tasks, time.monotonic() + asked["seconds"] + SLACK)
    # What hangs in a worker must not hang the exit of its driver.
    os._exit(0)


def named(nodes: list[dict[str, Any]]) -> tuple[dict[str, str], list[str]]:
    """Node ids by name, in the order of the names, and the names of nodes that are dead and have no successor."""
    names = [node.get("NodeName") or node["NodeManagerAddress"] for node in nodes if node["Alive"]]
    alive = {}
    for node in nodes:
        if node["Alive"]:
            name = node.get("NodeName") or node["NodeManagerAddress"]
            alive[name if names.count(name) == 1 else f"{name}-{node['NodeID'][:8]}"] = node["NodeID"]
    dead = {node.get("NodeName") or node["NodeManagerAddress"] for node in nodes if not node["Alive"]}
    return dict(sorted(alive.items())), sorted(dead - set(names))


def start(ray: Any, node: str) -> Any:
    """The remote function on one node and on no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    strategy = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(on_node).options(num_cpus=0, max_retries=0, scheduling_strategy=strategy)


def on_node(command: list[str], variables: dict[str, str], seconds: float) -> bytes:
    """The output of a command on this node."""
    env = {**os.environ, **variables}
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        if not env.get(name):  # Ray hides the GPUs from a task that asked for none
            env.pop(name, None)
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        return process.communicate(timeout=seconds + 15)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def collect(ray: Any, tasks: dict[Any, str], deadline: float) -> None:
    """Prints what the tasks return as they end; what has not ended at the deadline is left."""
    left = list(tasks)
    while left and time.monotonic() < deadline:
        ready, left = ray.wait(left, timeout=1.0)
        for task in ready:
            name = tasks[task]
            try:
                sys.stdout.buffer.write(b"\n" + ray.get(task) + b"\n")
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
