"""Which processes run in an environment, as ``/proc`` of this host says; other hosts are not seen.

A process runs in it when its program or a library that it has loaded lies there, or when it is the environment's Python
in a shell where that is activated. Of other users' processes only the command line can be read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.reading import read_bytes
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.environment.target import Target

#: Bytes of a process's list of mappings that are read: some 20,000 of them.
_MAPS = 4 << 20
_SHOWN = 200


@record
class Process:
    """A process: its id, the name of its user, and its command line, shortened."""

    pid: int
    user: str
    command: str


def processes_in(target: Target, proc: Path = Path("/proc")) -> tuple[Process, ...]:
    """The processes that run in an environment, in any of its generations; never this one.

    Args:
        target: The environment.
        proc: Where the kernel shows its processes.
    """
    places = _places(target)
    python = os.path.realpath(target.path / "bin" / "python")
    found = []
    for entry in _entries(proc):
        if int(entry.name) != os.getpid():
            with suppress(OSError, ValueError):
                words = _words(entry / "cmdline")
                if words and (_started(entry, words, places, str(target.path), python) or _loaded(entry, places)):
                    found.append(Process(int(entry.name), _user(entry), " ".join(words)[:_SHOWN]))
    return tuple(sorted(found, key=lambda each: each.pid))


def _places(target: Target) -> tuple[bytes, ...]:
    names = {str(each) for each in (target.path, target.store, target.store.resolve())}
    return tuple(os.fsencode(f"{name}/") for name in sorted(names))


def _started(entry: Path, words: Sequence[str], places: tuple[bytes, ...], path: str, python: str) -> bool:
    """Whether its program, or the script that it was started by, is one of the environment's."""
    directory = _link(entry / "cwd")
    named = [os.path.normpath(os.path.join(directory, word)) for word in words[:2] if "/" in word]  # noqa: PTH118
    if any(os.fsencode(each).startswith(places) for each in [*named, _link(entry / "exe")]):
        return True
    if _link(entry / "exe") != python or "/" in words[0]:
        return False
    with suppress(OSError):
        return f"VIRTUAL_ENV={path}".encode() in read_bytes(entry / "environ", _MAPS).split(b"\0")
    return False


def _loaded(entry: Path, places: tuple[bytes, ...]) -> bool:
    """Whether a library of the environment is mapped; False where that may not be looked at."""
    with suppress(OSError):
        text = read_bytes(entry / "maps", _MAPS)
        return any(b" " + place in text for place in places)
    return False


def _words(file: Path) -> list[str]:
    return [os.fsdecode(word) for word in read_bytes(file, _MAPS).split(b"\0") if word]


def _link(link: Path) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115
    except OSError:
        return ""


def _user(entry: Path) -> str:
    import pwd  # noqa: PLC0415

    number = entry.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _entries(proc: Path) -> list[Path]:
    try:
        return [entry for entry in proc.iterdir() if entry.name.isdigit()]
    except OSError:
        return []
