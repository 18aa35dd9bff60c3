"""The environments that are known, with what is in each and what runs in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.change import changeable
from verl_env.environment.errors import TargetError
from verl_env.environment.known.registry import known
from verl_env.environment.running import processes_in
from verl_env.environment.state import read_state
from verl_env.environment.target import Target
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Literal, TypeAlias

    from verl_env.environment.running import Process
    from verl_env.environment.state import State

    #: ``made``: by verl-env; ``changed``: made by another tool and changed by verl-env; ``unfinished``: what a run left
    #: that never ended; ``unseen``: not on this host, or not now.
    Kind: TypeAlias = Literal["made", "changed", "unfinished", "unseen"]

#: What is said of the kinds that are not the rule.
WORDS = {
    "changed": "made by another tool, and changed by verl-env",
    "unfinished": "no environment: what an installation left that did not end",
    "unseen": "not to be seen from here; it was written down on {host}",
}


@record
class Listed:
    """An environment: what it is, its record, its generation, what runs in it here, and its bytes where asked for."""

    path: Path
    kind: Kind
    host: str
    state: State | None = None
    generation: str | None = None
    processes: tuple[Process, ...] = ()
    bytes: int | None = None


def listed(*, sizes: bool = False, env: Mapping[str, str] = os.environ) -> tuple[Listed, ...]:
    """The environments that are written down, that of this shell, and ``.venv`` here, by path.

    Args:
        sizes: Whether to add up what each takes on the disk; files that several generations share count once.
        env: ``VIRTUAL_ENV`` is that of this shell.
    """
    import socket  # noqa: PLC0415

    hosts = {each.path: each.host for each in known()}
    for here in (env.get("VIRTUAL_ENV"), Path.cwd() / ".venv"):
        if here and Target(Path(here)).is_ours():
            hosts.setdefault(Path(here), socket.gethostname())
    return tuple(_listed(path, hosts[path], sizes=sizes) for path in sorted(hosts))


def _listed(path: Path, host: str, *, sizes: bool) -> Listed:
    try:
        target = changeable(path)
    except TargetError:
        left = Target(path)
        return Listed(path, "unfinished" if left.is_ours() else "unseen", host, bytes=_bytes(left) if sizes else None)
    current = target.current()
    state = None if current is None else read_state(current)
    kind: Kind = "made" if Target(path).current() is not None else "changed"
    size = _bytes(target) if sizes else None
    return Listed(path, kind, host, state, target.generation, processes_in(target), size)


def _bytes(target: Target) -> int:
    """What the environment and its store take on the disk."""
    seen: dict[tuple[int, int], int] = {}
    for place in (target.path, target.store):
        for status in _files(os.fspath(place)):
            seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def _files(directory: str) -> Iterator[os.stat_result]:
    try:
        entries = list(os.scandir(directory)) if not os.path.islink(directory) else []  # noqa: PTH114
    except OSError:
        return
    for entry in entries:
        status = entry.stat(follow_symlinks=False)
        yield status
        if stat.S_ISDIR(status.st_mode):
            yield from _files(entry.path)
