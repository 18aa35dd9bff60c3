"""One rank of ``cluster doctor --deep``, in the Python of the environment: pairs of nodes, then all of them.

It stands alone: the environment has torch, and nothing of verl-env. Its arguments are a JSON object (``backend``,
``address``, ``port``, ``world``, ``seconds``, ``megabytes``) and the variables that hold its rank and, where the
``address`` is empty, that of the first rank. Each step is told before and after it, so that of a pair that hangs both
ends are known by what they did not say.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import sys
import threading
import time
from typing import Any

MARK = "verl-env-step "


def main() -> None:
    """Meets the others, exchanges with one node after another, and sums over all."""
    asked = json.loads(sys.argv[1])
    rank = next(int(os.environ[name]) for name in ("VERL_ENV_RANK", "SLURM_PROCID") if name in os.environ)
    watch = threading.Timer(asked["seconds"], lambda: os._exit(124))
    watch.daemon = True
    watch.start()
    say(rank, "started")
    torch: Any = importlib.import_module("torch")
    distributed: Any = importlib.import_module("torch.distributed")

    device = "cuda:0" if asked["backend"] == "nccl" else "cpu"
    if device != "cpu":
        torch.cuda.set_device(0)
    address = asked["address"] or os.environ["VERL_ENV_HEAD"]
    patience = dt.timedelta(seconds=asked["seconds"])
    store = distributed.TCPStore(
        address, asked["port"], asked["world"], rank == 0, patience, wait_for_workers=False
    )  # fmt: skip
    say(rank, "met")
    distributed.init_process_group(
        asked["backend"], store=store, rank=rank, world_size=asked["world"], timeout=patience
    )  # fmt: skip
    say(rank, "joined")
    values = torch.ones((asked["megabytes"] << 20) // 4, device=device)
    for peer in peers(rank, asked["world"]):
        say(rank, "pair", peer=peer)
        seconds, right = exchange(torch, distributed, values, rank, peer)
        say(rank, "paired", peer=peer, seconds=seconds, right=right)
    say(rank, "sum")
    seconds, right = total(torch, distributed, values, asked["world"])
    say(rank, "summed", seconds=seconds, right=right)
    sys.stdout.flush()
    os._exit(0)  # the teardown of a process group can hang; nothing depends on it


def peers(rank: int, world: int) -> list[int]:
    """Whom a rank meets, in an order in which all pairs of a round are disjoint (the circle method of tournaments).

    Of many nodes only the first rounds, so that the time does not grow with their number.
    """
    size = world + world % 2
    found = []
    for turn in range(min(size - 1, 16)):
        if rank == size - 1:
            peer = next(other for other in range(size - 1) if (2 * other) % (size - 1) == turn)
        else:
            peer = (turn - rank) % (size - 1)
            peer = size - 1 if peer == rank else peer
        if peer < world:
            found.append(peer)
    return found


def exchange(torch: Any, distributed: Any, values: Any, rank: int, peer: int) -> tuple[float, bool]:
    """The seconds of there and back again, the second time: the first makes the connection."""
    taken = 0.0
    received = torch.zeros_like(values)
    for _ in range(2):
        received.zero_()
        _finish(torch, values)
        started = time.perf_counter()
        if rank < peer:
            distributed.send(values, peer)
            distributed.recv(received, peer)
        else:
            distributed.recv(received, peer)
            distributed.send(received, peer)
        _finish(torch, values)
        taken = time.perf_counter() - started
    return taken, bool((received == 1).all().item())


def total(torch: Any, distributed: Any, values: Any, world: int) -> tuple[float, bool]:
    """The seconds of a sum over all nodes, the second time, and whether it is their number."""
    taken = 0.0
    for _ in range(2):
        summed = values.clone()
        _finish(torch, values)
        started = time.perf_counter()
        distributed.all_reduce(summed)
        _finish(torch, values)
        taken = time.perf_counter() - started
    return taken, bool((summed == world).all().item())


def _finish(torch: Any, values: Any) -> None:
    if values.is_cuda:
        torch.cuda.synchronize()


def say(rank: int, step: str, **more: Any) -> None:
    """One step, at once, in a line of its own."""
    sys.stdout.write(f"\n{MARK}{json.dumps({'rank': rank, 'step': step, **more})}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
