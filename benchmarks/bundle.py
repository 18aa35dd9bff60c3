"""The files of a bundle, fetched by ``verl-env bundle`` and by a bare parallel download, in turn in the same run.

python benchmarks/bundle.py DIR [--stack S] [--verl V] [--python V] [--below MB] [--rounds N]

Ours hashes each file, renames it, and has all put onto the disk at the end (syncfs); the bare download, with as many
workers, kept connections and the largest file first, checks nothing and leaves the bytes to the kernel. Where curl is,
so is ``curl --parallel``, which keeps connections too. Looking addresses up is in none of them. DIR needs room for the
files once; it is emptied after each. ``--below`` takes only files below that size, where there is less room.
"""

from __future__ import annotations

import argparse
import os
import shutil
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from verl_env.bundle.gather import WORKERS, gather
from verl_env.bundle.outline import Outlining
from verl_env.cli.ship import bundle as command
from verl_env.environment.files import sync_file_system

if TYPE_CHECKING:
    from verl_env.bundle.lookup import Fetch


class Silent:
    """Nobody is told."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


def main() -> None:
    """Measures, and prints one line a round and the ratio of the best times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--stack", default="vllm")
    parser.add_argument("--verl", default="0.4")
    parser.add_argument("--python", default="3.10")
    parser.add_argument("--below", type=float, default=float("inf"), metavar="MB")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    fetches = [fetch for fetch in fetches_of(args) if fetch.bytes < args.below * 1e6 and not fetch.is_sdist]
    size = sum(fetch.bytes for fetch in fetches) / 1e6
    print(f"{len(fetches)} files, {size:.0f} MB, {WORKERS} workers")
    ways = {"bare": bare, **({"curl": curl} if shutil.which("curl") else {}), "verl-env": ours}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(args.rounds):
        for name, run in ways.items():
            before = os.times()
            seconds = timed(run, fetches, args.directory / name)
            best[name] = min(best[name], seconds)
            spent = sum(after - then for after, then in zip(os.times()[:4], before[:4], strict=True))
            print(f"{name}: {seconds:.1f} s, {size / seconds:.1f} MB/s, {spent:.1f} s of processor time", flush=True)
    for name in [name for name in ways if name != "verl-env"]:
        print(f"ratio of the best to {name}: {best['verl-env'] / best[name]:.2f}")


def fetches_of(args: argparse.Namespace) -> tuple[Fetch, ...]:
    """The files of a plan for an H100."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["--stack", args.stack, "--verl", args.verl, "--python", args.python, "--native", "skip", "--gpu", "h100"]
    given = parser.parse_args([*words, "--driver", "550.54.15", "--glibc", "2.35", "--dry-run"])
    plannings = [command._plan(request, given) for request in command._requests(given)]
    return Outlining(plannings).outline().fetches  # type: ignore[arg-type]


def timed(run: object, fetches: list[Fetch], place: Path) -> float:
    """Seconds of one way, which leaves nothing."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    started = time.monotonic()
    run(fetches, place)  # type: ignore[operator]
    seconds = time.monotonic() - started
    shutil.rmtree(place)
    return seconds


def ours(fetches: list[Fetch], place: Path) -> None:
    """As a bundle is made."""
    gather(fetches, place, Silent())  # type: ignore[arg-type]
    started = time.monotonic()
    sync_file_system(place)
    print(f"  of it putting all onto the disk: {time.monotonic() - started:.1f} s")


def bare(fetches: list[Fetch], place: Path) -> None:
    """The bytes, and nothing else; a worker keeps its connection to a host."""
    context, kept = ssl.create_default_context(), threading.local()

    def one(fetch: Fetch) -> None:
        address = urlsplit(fetch.url)
        connection = kept.__dict__.get(address.netloc)
        if connection is None:
            connection = kept.__dict__[address.netloc] = HTTPSConnection(address.netloc, context=context)
        connection.request("GET", address.path)
        with (place / fetch.path.replace("/", "-")).open("wb") as file:
            shutil.copyfileobj(connection.getresponse(), file, 1 << 20)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, sorted(fetches, key=lambda fetch: -fetch.bytes)))


def curl(fetches: list[Fetch], place: Path) -> None:
    """All files by one curl, so many at once."""
    lines = [f'url = "{fetch.url}"\noutput = "{place}/{fetch.path.replace("/", "-")}"' for fetch in fetches]
    argv = ["curl", "--parallel", "--parallel-max", str(WORKERS), "--no-progress-meter", "--fail", "--config", "-"]
    subprocess.run(argv, input="\n".join(lines), text=True, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
