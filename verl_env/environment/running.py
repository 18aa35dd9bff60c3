"""Which processes of this host run in an environment, and in which of its generations.

A process is bound to its generation at its start (``binding.py``) and keeps that directory open: that is what is looked
for, in ``/proc``. Of other people's processes only their command lines can be seen; those of other hosts and of other
containers cannot be seen at all.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from verl_env.command_line import visible
from verl_env.credentials import hide_secrets
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from verl_env.environment.target import Target

#: How long a generation that was replaced stays where other hosts may have processes in it.
ELSEWHERE = timedelta(days=7)

#: File systems that other hosts may see too; of those in user space all but what is known to be local.
_NETWORK = re.compile(
    r"nfs\d?|lustre|gpfs|ceph|beegfs.*|wekafs|panfs|orangefs|glusterfs|cifs|smb3|9p|afs"
    r"|fuse\.(?!(?:fuse-)?overlayfs$|squashfuse|lxcfs$|gvfsd|portal$).*"
)
_FEW = 3
_SHOWN = 200
_LONGEST = 60
_ARGUMENTS = 1 << 16


@record
class Process:
    """A process that runs in an environment: its id, the name of its user, its command line, shortened.

    ``generation`` is the one that it is bound to; None where it is bound to none: it was started before there was a
    binding, or its environment is that of another tool. Then it imports what the environment holds at the time.
    """

    pid: int
    user: str
    command: str
    generation: str | None = None


@record
class _Places:
    """The names of an environment: as users write it, and as the kernel does; and the interpreters that it starts."""

    paths: tuple[str, ...]
    stores: tuple[str, ...]
    interpreters: frozenset[str]

    def generation(self, path: str) -> str | None:
        """The generation that a path lies in, None where in none."""
        for store in self.stores:
            if path.startswith(store):
                name = path[len(store) :].partition("/")[0]
                return name if name.isdigit() else None
        return None

    def holds(self, path: str) -> bool:
        """Whether a path names a file of the environment by its link."""
        return path.startswith(self.paths)


def processes_in(target: Target, *, proc: str = "/proc") -> tuple[Process, ...]:
    """The processes that run in an environment, but this one, by their number."""
    places = _places(target)
    pids = sorted(int(name) for name in _listed(proc) if name.isdigit())
    found = (_look(f"{proc}/{pid}", pid, places) for pid in pids if pid != os.getpid())
    return tuple(each for each in found if each is not None)


def in_use(target: Target) -> frozenset[str]:
    """The generations that must stay: processes run in them, or may, on other hosts of a network file system."""
    return frozenset(each.generation for each in processes_in(target) if each.generation) | _recent_elsewhere(target)


def told(target: Target, generation: str) -> list[str]:
    """What whoever puts a generation in force is told of the processes that run in the environment."""
    processes = [each for each in processes_in(target) if each.generation != generation]
    bound = [each for each in processes if each.generation is not None]
    free = [each for each in processes if each.generation is None]
    lines = []
    if bound:
        kept = ", ".join(sorted({each.generation or "" for each in bound}))
        lines.append(f"still running in what {target.path} was (generation {kept}), which they keep: {_few(bound)}")
    if free:
        lines.append(
            f"running in {target.path} and bound to no generation: {_few(free)}; "
            "what they import from now on is of the new state: start them anew"
        )
    return lines


def _few(processes: list[Process]) -> str:
    shown = "; ".join(f"{each.pid} {_short(visible(hide_secrets(each.command)))}" for each in processes[:_FEW])
    more = len(processes) - _FEW
    return f"{shown}; and {more} more" if more > 0 else shown


def _places(target: Target) -> _Places:
    parents = dict.fromkeys((str(target.path.parent), os.path.realpath(target.path.parent)))
    stores = tuple(f"{parent}/{target.store.name}/" for parent in parents)
    homes = [target.path, *(target.store / name for name in _listed(str(target.store)) if name.isdigit())]
    interpreters = frozenset(os.path.realpath(home / "bin" / "python") for home in homes)
    return _Places(tuple(f"{parent}/{target.path.name}/" for parent in parents), stores, interpreters)


def _look(process: str, pid: int, places: _Places) -> Process | None:
    """What a process is to an environment; None where it is nothing to it, or has ended."""
    try:
        program = os.readlink(f"{process}/exe").removesuffix(" (deleted)")  # noqa: PTH115
    except PermissionError:
        program = None
    except OSError:
        return None
    if program is not None and program not in places.interpreters:
        # A program of a package, raylet for one.
        generation = places.generation(program)
        ours = generation is not None or places.holds(program)
        return _seen(process, pid, generation) if ours else None
    for descriptor in _listed(f"{process}/fd"):
        generation = places.generation(f"{_link(f'{process}/fd/{descriptor}')}/")
        if generation is not None:
            return _seen(process, pid, generation)
    for word in _started_as(process):
        generation = places.generation(word)
        if generation is not None or places.holds(word):
            return _seen(process, pid, generation)
    return None


def _seen(process: str, pid: int, generation: str | None) -> Process:
    words = _words(process) or ["(nothing to be seen of it)"]
    return Process(pid, _user(process), " ".join([words[0].rpartition("/")[2], *words[1:]])[:_SHOWN], generation)


def _started_as(process: str) -> Iterator[str]:
    """The paths of interpreter and script that a process was started with."""
    words = _words(process)
    for word in words[:2]:
        yield os.path.normpath(os.path.join(_link(f"{process}/cwd"), word)) if "/" in word else word  # noqa: PTH118
    if words and "/" not in words[0]:
        active = [each for each in _block(f"{process}/environ") if each.startswith("VIRTUAL_ENV=")]
        yield from (f"{each.partition('=')[2]}/bin/{words[0]}" for each in active)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _user(process: str) -> str:
    import pwd  # noqa: PLC0415 (only what changes or lists environments needs it)

    try:
        number = os.stat(process).st_uid  # noqa: PTH116
        return pwd.getpwuid(number).pw_name
    except OSError:
        return ""
    except KeyError:
        return str(number)


def _words(process: str) -> list[str]:
    return _block(f"{process}/cmdline")


def _waits_for_a_device(process: str) -> bool:
    """Whether a process is in a sleep that nothing ends; reading its memory could then take as long."""
    try:
        with open(f"{process}/stat", "rb") as file:  # noqa: PTH123
            return file.read(_ARGUMENTS).rpartition(b")")[2].split()[:1] == [b"D"]
    except OSError:
        return True


def _block(path: str) -> list[str]:
    """The strings of a file of zero-terminated ones that lies in the memory of a process."""
    if _waits_for_a_device(os.path.dirname(path)):  # noqa: PTH120
        return []
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(_ARGUMENTS).decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    except OSError:
        return []


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208
    except OSError:
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return ""


def _recent_elsewhere(target: Target) -> frozenset[str]:
    """The generations that were replaced lately, where other hosts see the file system too."""
    if not on_network(target.store):
        return frozenset()
    since = (datetime.now(timezone.utc) - ELSEWHERE).isoformat()
    return frozenset(each.replaced for each in target.entries() if each.replaced is not None and each.when >= since)


def on_network(directory: Path, *, mounts: str = "/proc/self/mountinfo") -> bool:
    """Whether a directory lies on a file system that other hosts may see; False where nobody says."""
    try:
        device = os.stat(directory).st_dev  # noqa: PTH116
        with open(mounts, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            lines = [line.split() for line in file]
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = [line[line.index("-") + 1] for line in lines if number in line[2:3] and "-" in line[:-1]]
    return any(map(is_network, kinds))


def is_network(kind: str) -> bool:
    """Whether a file system of a kind, as the kernel names it (``"nfs4"``), may be seen by other hosts."""
    return _NETWORK.fullmatch(kind) is not None
