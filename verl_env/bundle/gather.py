"""Fetches the files of a bundle into its directory: several at once, the largest first; what is there is checked."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from queue import PriorityQueue
from typing import TYPE_CHECKING, Any, Protocol

from verl_env.bundle.download import CancelledError, download, part_of
from verl_env.bundle.model import File
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from verl_env.bundle.lookup import Fetch

#: Files that are fetched side by side; with two cores more only share them, with latency more would hide it.
WORKERS = 8


class Progress(Protocol):
    """Told of what comes; called by several threads."""

    def expect(self, files: int, size: int) -> None:
        """So many files and bytes are to come."""

    def bytes(self, count: int) -> None:
        """Bytes that came, or negative those that were dropped."""

    def done(self, name: str) -> None:
        """A file is whole."""

    def note(self, message: str) -> None:
        """Something worth a line."""


def gather(
    fetches: Iterable[Fetch], root: Path, progress: Progress, then: Callable[[Fetch, Path], None] | None = None
) -> tuple[File, ...]:
    """Fetches everything; gives what is there then.

    Args:
        fetches: The first begin while others are still looked up; of those that are known the largest is next.
        root: The directory of the bundle.
        progress: Told of what comes.
        then: Called with each source distribution once it is whole; one after the other.

    Raises:
        VerlEnvError: the first failure; the others are given up, and what came is kept.
        KeyboardInterrupt: likewise.
    """
    stop = threading.Event()
    futures: list[Future[File]] = []
    known: PriorityQueue[tuple[bool, int, str, Fetch]] = PriorityQueue()

    def next_one() -> File:
        fetch = known.get_nowait()[-1]
        file = _one(fetch, root, progress, stop.is_set)
        if then is not None and fetch.is_sdist and not stop.is_set():
            afterwards.append(beside.submit(then, fetch, root / fetch.path))
        return file

    # What is made of a source distribution has a thread of its own: no download waits for it.
    afterwards: list[Future[None]] = []
    with ThreadPoolExecutor(1) as beside, ThreadPoolExecutor(WORKERS) as pool:
        try:
            for fetch in fetches:
                (root / fetch.path).parent.mkdir(parents=True, exist_ok=True)
                progress.expect(1, fetch.bytes)
                # The few source distributions first, as something is made of them meanwhile; then by size.
                known.put((not fetch.is_sdist, -fetch.bytes, fetch.path, fetch))
                futures.append(pool.submit(next_one))
                if any(future.done() and future.exception() is not None for future in futures):
                    break
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if any(not future.done() or future.exception() is not None for future in futures):
                stop.set()
                for each in _all(futures, afterwards):
                    each.cancel()
    failures = [
        error for each in _all(futures, afterwards) if not each.cancelled() and (error := each.exception()) is not None
    ]
    if failures:
        raise next((error for error in failures if not isinstance(error, CancelledError)), failures[0])
    return tuple(future.result() for future in futures)


def _all(*groups: list[Future[Any]]) -> list[Future[Any]]:
    return [each for group in groups for each in group]


def _one(fetch: Fetch, root: Path, progress: Progress, stopped: Callable[[], bool]) -> File:
    if stopped():
        raise CancelledError
    path = root / fetch.path
    known = _there(fetch, path)
    if known is None:
        path.unlink(missing_ok=True)
        known = download(fetch, path, progress.bytes, stopped)
    else:
        part_of(path).unlink(missing_ok=True)
        progress.bytes(known[1])
    progress.done(path.name)
    return File(fetch.path, known[1], known[0], fetch.role, fetch.name, fetch.version)


def _there(fetch: Fetch, path: Path) -> tuple[str, int] | None:
    """Hash and size of a file that is there already and is the right one; None where it must be fetched."""
    if not fetch.recorded or path.is_symlink() or not path.is_file():
        return None
    actual = file_sha256(path)
    return (actual, path.stat().st_size) if fetch.accepts(actual) else None
