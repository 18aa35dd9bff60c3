"""An environment that another tool made: a directory, changed as whole as one of verl-env's own.

Its new state is made in the store beside it (``.venv.d/0001``), and the two directories change places: in one step
where the file system can (``renameat2`` with ``RENAME_EXCHANGE``: ext4, XFS, Btrfs, tmpfs), else by two renames. A kill
between these leaves the place empty until the next change ends what was begun. A file in each says which it is.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

from verl_env.environment import journal
from verl_env.environment.errors import EnvironmentUnchangeableError, TargetPermissionError
from verl_env.environment.files import replace_bytes
from verl_env.environment.target import Target
from verl_env.reading import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

MARK = ".verl-env-generation"
#: The generation of what the other tool made.
FIRST = "0000"

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM}


class PlainTarget(Target):
    """A directory that is an environment, and the store beside it."""

    def current(self) -> Path | None:
        return self.path if self.path.is_dir() else None

    @property
    def generation(self) -> str | None:
        return number_of(self.path) if self.path.is_dir() else None

    def make_store(self) -> None:
        try:
            super().make_store()
        except TargetPermissionError as error:
            raise EnvironmentUnchangeableError(self.path, error.reason) from error

    def point_to(self, generation: Path) -> None:
        if number_of(generation) != generation.name:
            replace_bytes(generation / MARK, generation.name.encode())
        try:
            if not exchange(generation, self.path):
                self.path.rename(self.store / number_of(self.path))
                generation.rename(self.path)
        except OSError as error:
            raise EnvironmentUnchangeableError(self.path, error.strerror or str(error)) from error
        self.recover()

    def recover(self) -> None:
        entry = journal.read(self.journal)
        if not self.path.is_dir() and entry is not None and (self.store / entry.generation).is_dir():
            (self.store / entry.generation).rename(self.path)
        changed_places = self.store / number_of(self.path)
        if changed_places.is_dir():
            changed_places.rename(self.store / number_of(changed_places))


def number_of(environment: Path) -> str:
    """Which generation an environment of another tool is."""
    try:
        return read_bytes(environment / MARK).decode("ascii")
    except (OSError, ValueError):
        return FIRST


def exchange(one: Path, other: Path) -> bool:
    """Lets two directories change places in one step; False where the system cannot.

    Raises:
        OSError: the system could, and refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        rename = libc.renameat2
    except AttributeError:  # before glibc 2.28
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))
