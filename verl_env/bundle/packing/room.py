"""A directory beside what is being made, which nobody sees before it is whole; what dead runs left of it is removed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.files import sync_directory, sync_file_system
from verl_env.interrupts import shielded

if TYPE_CHECKING:
    from collections.abc import Iterator

_END = ".part"


@contextmanager
def room_beside(path: Path) -> Iterator[Path]:
    """A directory on the file system of a path; it is removed at the end, with what is left in it.

    Who works in one holds its lock, which the kernel lets go of however a run ends. Where there is no flock, what a
    killed run left stays.

    Args:
        path: What is being made.

    Raises:
        OSError: it cannot be made.
    """
    for left in path.parent.glob(f".{_literal(path.name)}.*{_END}"):
        _remove_if_left(left)
    room = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_END, dir=path.parent))
    held = os.open(room, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield room
    finally:
        with shielded():
            shutil.rmtree(room, ignore_errors=True)
            os.close(held)


def put_in_place(made: Path, path: Path) -> None:
    """Renames what was made in a room, once it is on the disk.

    Raises:
        OSError: it cannot be written, or renamed.
    """
    sync_file_system(made.parent)
    made.replace(path)
    sync_directory(path.parent)


def _remove_if_left(room: Path) -> None:
    with suppress(OSError):
        held = os.open(room, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(room, ignore_errors=True)
        finally:
            os.close(held)


def _literal(name: str) -> str:
    """A name as a pattern that only it matches."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)
