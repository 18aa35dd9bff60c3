"""A sum over all visible GPUs with NCCL; every rank compares it with the number of ranks and prints the outcome."""

import importlib
import json
import os
import socket
import sys

LENGTH = 1 << 20


def worker(rank: int, world: int, port: int) -> None:
    """One rank."""
    torch = importlib.import_module("torch")
    distributed = importlib.import_module("torch.distributed")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.cuda.set_device(rank)
    distributed.init_process_group("nccl", rank=rank, world_size=world)
    values = torch.ones(LENGTH, device=f"cuda:{rank}")
    distributed.all_reduce(values)
    torch.cuda.synchronize()
    right = bool((values == world).all().item())
    distributed.destroy_process_group()
    if not right:
        sys.exit(1)


def main() -> None:
    """Starts one process for each GPU."""
    torch = importlib.import_module("torch")
    world = torch.cuda.device_count()
    if world:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        importlib.import_module("torch.multiprocessing").spawn(worker, args=(world, port), nprocs=world)
    print(json.dumps({"gpus": world}))


if __name__ == "__main__":
    main()
