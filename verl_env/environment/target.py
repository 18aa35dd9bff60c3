"""The target of an installation, and what stands there now.

``.venv`` is a symbolic link to a generation in ``.venv.d``, the store: ``.venv -> .venv.d/0003``. A new state is made
in a new generation and put in force by renaming a new link over the old one, which is atomic on every POSIX file
system (NFS and Lustre too); ``docs/architecture.md`` says why that way.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.errors import (
    EnvironmentForeignError,
    TargetDanglingError,
    TargetNotDirectoryError,
    TargetParentMissingError,
    TargetPathUnusableError,
    TargetPermissionError,
)
from verl_env.reading import text_or_none
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.environment.history import Entry

_GENERATION = re.compile(r"\d{4,}")
_LEFTOVER = re.compile(r"\d{4,}(\.stage)?|link")
_OURS = re.compile(
    r"\d{4,}(\.\w+)?|bundle-\d+|link|lock|logs|journal\.json|history\.json|README\.txt|\.gitignore|\..*\.verl-env"
)
#: What goes last when a store is removed, so that what is left is known as one until then.
LAST = frozenset({"README.txt", ".gitignore", "lock"})
_BYTES = 1 << 16
_README = "README.txt"
#: Bytes of the path of an environment: the longest paths in one are half of PATH_MAX (4096).
_LONGEST = 2000
_FIRST_PRINTABLE, _DELETE = 0x20, 0x7F
_README_START = "verl-env keeps the environment "
_README_TEXT = f"""\
{_README_START}{{name}} here: the link {{name}} points to the generation that is in force.
Change it with verl-env install; remove it with verl-env remove.
"""


@record
class Target:
    """The place of an environment: the absolute path that users name, and the store beside it."""

    path: Path

    @property
    def store(self) -> Path:
        """The directory of the generations."""
        return self.path.with_name(f"{self.path.name}.d")

    @property
    def lock(self) -> Path:
        """The lock that keeps two runs apart."""
        return self.store / "lock"

    @property
    def journal(self) -> Path:
        """What is being done; there only while something is."""
        return self.store / "journal.json"

    @property
    def logs(self) -> Path:
        """The directory of the logs of failed checks."""
        return self.store / "logs"

    @property
    def history(self) -> Path:
        """What was done to the environment."""
        return self.store / "history.json"

    @property
    def generation(self) -> str | None:
        """The name of the generation in force."""
        current = self.current()
        return None if current is None else current.name

    def current(self) -> Path | None:
        """The generation that the target names, whether or not it is still there; None where it names none."""
        try:
            link = os.readlink(self.path)  # noqa: PTH115 (Path.readlink drops nothing here, and costs more)
        except OSError:
            return None
        store, _, name = link.rpartition("/")
        return self.store / name if store == self.store.name and _GENERATION.fullmatch(name) else None

    def leftovers(self) -> tuple[Path, ...]:
        """What dead runs left in the store: stages, and every generation but the one in force and the one before."""
        found = [path for path in _entries(self.store) if _LEFTOVER.fullmatch(path.name)]
        kept = {self.generation}
        if any(path.name not in kept for path in found):
            kept.add(self.previous())
        return tuple(path for path in found if path.name not in kept)

    def entries(self) -> tuple[Entry, ...]:
        """The changes that were put in force, the oldest first; the one in force is the last."""
        from verl_env.environment.history import read_entries  # noqa: PLC0415 (nothing to do needs no history)

        return read_entries(self.history, self.generation)

    def previous(self) -> str | None:
        """The generation that the one in force replaced, where it is still there."""
        entries = self.entries()
        name = entries[-1].replaced if entries else None
        return name if name is not None and (self.store / name).is_dir() else None

    def next_generation(self) -> Path:
        """The path of the next generation; numbers go up, so that no two that ever were share one."""
        names = [path.name for path in _entries(self.store)] + [each.generation for each in self.entries()]
        numbers = [int(name) for name in [*names, self.generation or ""] if _GENERATION.fullmatch(name)]
        return self.store / f"{max(numbers, default=0) + 1:04d}"

    def recover(self) -> None:
        """Ends what a killed run began; the lock is held. Here that is nothing: a rename is whole or has not been."""

    def make_store(self) -> None:
        """Makes the store where it is not there yet.

        Raises:
            TargetPermissionError: it cannot be made or written.
        """
        try:
            self.store.mkdir(exist_ok=True)
            for name, text in ((".gitignore", "*\n"), (_README, _README_TEXT.format(name=self.path.name))):
                if not (self.store / name).exists():
                    (self.store / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise TargetPermissionError(self.path, error.strerror or str(error)) from error

    def point_to(self, generation: Path) -> None:
        """Puts a generation of the store in force, by one rename.

        Raises:
            OSError: the link cannot be made or renamed; what was in force is in force.
        """
        link = self.store / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(f"{self.store.name}/{generation.name}")
        if self.path.is_dir() and not self.path.is_symlink():
            self.path.rmdir()
        link.replace(self.path)

    def is_ours(self) -> bool:
        """Whether the store is one that verl-env made, by what its README says."""
        text = text_or_none(self.store / _README, _BYTES)
        return text is not None and text.startswith(_README_START) and not self.store.is_symlink()

    def foreign(self) -> tuple[Path, ...]:
        """What is in the store and was not put there by verl-env."""
        return tuple(path for path in _entries(self.store) if not _OURS.fullmatch(path.name))


def open_target(path: Path) -> Target:
    """The target at a path, once it is certain that verl-env may change what is there.

    It may change nothing at all, an empty directory, and what it made itself.

    Raises:
        TargetError: it is something else; the subclass says what.
    """
    target = Target(Path(os.path.abspath(path)))  # noqa: PTH100 (resolve() would follow the link of the target)
    check_path(target.path)
    parent = target.path.parent
    if not parent.is_dir():
        raise TargetParentMissingError(target.path)
    _check_place(target)
    _check_store(target)
    if target.current() is None and not os.access(parent, os.W_OK | os.X_OK):
        raise TargetPermissionError(target.path, f"{parent} may not be written")
    return target


def check_path(path: Path) -> None:
    """Refuses a path that scripts, ``activate``, PATH or an installer cannot hold.

    Raises:
        TargetPathUnusableError: it is such a path.
    """
    text, size = str(path), len(os.fsencode(path))
    found = (
        (size > _LONGEST, f"is {size} bytes long, and {_LONGEST} leave room for the files in it"),
        (not _is_utf8(text), "is no UTF-8"),
        (any(ord(each) < _FIRST_PRINTABLE or ord(each) == _DELETE for each in text), "has a control character"),
        ("'" in text, "has a single quote"),
        (os.pathsep in text, "has a colon, which divides PATH"),
    )
    reason = next((reason for bad, reason in found if bad), None)
    if reason is not None:
        raise TargetPathUnusableError(path, reason)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_place(target: Target) -> None:
    """Refuses whatever stands at the path and is not ours or an empty directory."""
    try:
        mode = target.path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise TargetPermissionError(target.path, error.strerror or str(error)) from error
    if stat.S_ISLNK(mode):
        _check_link(target)
    elif not stat.S_ISDIR(mode):
        raise TargetNotDirectoryError(target.path)
    else:
        _check_directory(target)


def _check_link(target: Target) -> None:
    if target.current() is not None:
        return
    link = os.readlink(target.path)  # noqa: PTH115
    if not target.path.exists():
        raise TargetDanglingError(target.path, link)
    raise EnvironmentForeignError(target.path, f"a link to {link}")


def _check_directory(target: Target) -> None:
    try:
        with os.scandir(target.path) as entries:
            names = {entry.name for entry in entries}
    except OSError as error:
        raise TargetPermissionError(target.path, error.strerror or str(error)) from error
    if "pyvenv.cfg" in names:
        raise EnvironmentForeignError(target.path, "a virtual environment")
    if names:
        raise EnvironmentForeignError(target.path, "a directory with files")
    if target.path.samefile(Path.cwd()):
        raise EnvironmentForeignError(target.path, "the current directory")


def _check_store(target: Target) -> None:
    """Refuses a directory of the store's name that verl-env did not make."""
    store = target.store
    if store.is_symlink() or (store.exists() and not store.is_dir()):
        raise EnvironmentForeignError(store, "a file")
    if any(_entries(store)) and not target.is_ours():
        raise EnvironmentForeignError(store, "a directory with files")


def _entries(directory: Path) -> Iterator[Path]:
    try:
        return iter(sorted(directory.iterdir()))
    except OSError:
        return iter(())
