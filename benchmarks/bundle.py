"""The files of a bundle, fetched by ``verl-env bundle`` and by a bare parallel download, in turn in the same run.

python benchmarks/bundle.py DIR [--stack S] [--verl V] [--python V] [--below MB] [--rounds N] [--ways NAME,...]

``files`` is our download of the same files: each hashed, renamed, and all put onto the disk at the end (syncfs).
``command`` is the whole of ``verl-env bundle`` as a user starts it: choosing, looking addresses up, fetching, building
the source distributions, the bill of materials; it cannot leave large files out. ``bare``, with as many workers, kept
connections and the largest file first, looks no address up, checks nothing and leaves the bytes to the kernel; so does
``curl --parallel``. The order turns round each time, and the ratios are of the medians. DIR needs room for the
files once; it is emptied after each. ``--below`` takes only files below that size, where there is less room.
"""

from __future__ import annotations

import argparse
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path
from statistics import median
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
    """Measures, and prints a line for each run and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--stack", default="vllm")
    parser.add_argument("--verl", default="0.4")
    parser.add_argument("--python", default="3.10")
    parser.add_argument("--below", type=float, default=float("inf"), metavar="MB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", default="bare,files")
    args = parser.parse_args()
    fetches = [fetch for fetch in fetches_of(args) if fetch.bytes < args.below * 1e6 and not fetch.is_sdist]
    size = sum(fetch.bytes for fetch in fetches) / 1e6
    print(f"{len(fetches)} files, {size:.0f} MB, {WORKERS} workers")
    known = {"bare": bare, "curl": curl, "files": files, "command": partial(whole, asked=words(args))}
    took: dict[str, list[float]] = {name: [] for name in args.ways.split(",")}
    for number in range(args.rounds):
        for name in list(took)[:: -1 if number % 2 else 1]:
            before = os.times()
            took[name].append(timed(known[name], fetches, args.directory / name))
            spent = sum(after - then for after, then in zip(os.times()[:4], before[:4], strict=True))
            seconds = took[name][-1]
            print(f"{name}: {seconds:.1f} s, {size / seconds:.1f} MB/s, {spent:.1f} s of processor time", flush=True)
    for name in [name for name in took if name != "bare"]:
        print(f"{name}, ratio of the medians to bare: {median(took[name]) / median(took['bare']):.2f}")


def words(args: argparse.Namespace) -> list[str]:
    """What is asked for: files for an H100."""
    asked = ["--stack", args.stack, "--verl", args.verl, "--python", args.python, "--native", "skip", "--gpu", "h100"]
    return [*asked, "--driver", "550.54.15", "--glibc", "2.35"]


def fetches_of(args: argparse.Namespace) -> tuple[Fetch, ...]:
    """The files of a plan for an H100."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = parser.parse_args([*words(args), "--dry-run"])
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


def whole(_: list[Fetch], place: Path, asked: list[str]) -> None:
    """The command."""
    place.rmdir()
    argv = [sys.executable, "-m", "verl_env", "bundle", *asked, "-o", str(place)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def files(fetches: list[Fetch], place: Path) -> None:
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
