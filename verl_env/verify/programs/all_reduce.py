"""A sum over all GPUs with NCCL: each rank counts what is wrong in its result, rank 0 adds the counts up by Gloo."""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta

import torch
from answer import give
from torch import distributed, multiprocessing

LENGTH, ROUNDS, WAIT = 1 << 24, 5, timedelta(seconds=60)


def rank_main(rank: int, world: int, port: int) -> None:
    """One rank; rank 0 answers."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.cuda.set_device(rank)
    distributed.init_process_group("nccl", rank=rank, world_size=world, timeout=WAIT)
    beside = distributed.new_group(backend="gloo", timeout=WAIT)
    started, wrong = 0.0, 0
    for turn in range(ROUNDS + 1):
        values = torch.full((LENGTH,), float(rank + 1), device="cuda")
        torch.cuda.synchronize()
        started = time.perf_counter() if turn == 1 else started
        distributed.all_reduce(values)
        torch.cuda.synchronize()
        wrong |= int(not bool((values == world * (world + 1) / 2).all()))
    seconds = (time.perf_counter() - started) / ROUNDS
    count = torch.tensor([wrong])
    distributed.all_reduce(count, group=beside)
    if rank == 0:
        give(gpus=world, wrong_ranks=int(count), bus_bandwidth=8 * (world - 1) / world * LENGTH / seconds)
    distributed.destroy_process_group()


def main() -> None:
    """Starts one process for each GPU."""
    world = torch.cuda.device_count()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(rank_main, args=(world, port), nprocs=world)


if __name__ == "__main__":
    main()
