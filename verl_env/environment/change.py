"""The one writer of environments: a change is made beside what is in force, and put in force by one rename.

``install``, ``verl-env pip``, ``doctor --fix``, ``patches apply|remove`` and ``rollback`` come here. What is killed, or
fails, leaves what was in force as it was; what it left beside that is cleared away by the next change. The generation
that was replaced stays until the next change: it shares its files with the new one by hard links, but those that
differ, and is what ``verl-env rollback`` goes back to.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment import journal
from verl_env.environment.binding import bind_at_start
from verl_env.environment.errors import EnvironmentForeignError, EnvironmentLockedError, EnvironmentUnchangeableError
from verl_env.environment.expected import expected_files, keep_files, kept_files
from verl_env.environment.files import remove_trees, sync_directory, sync_file_system
from verl_env.environment.history import Change, Entry, as_json, user, write_entries
from verl_env.environment.known.registry import register
from verl_env.environment.lock import locked
from verl_env.environment.overlap import guarded_files, refuse_guarded, refuse_overlaps
from verl_env.environment.pins import write_pins
from verl_env.environment.plain import PlainTarget
from verl_env.environment.relocate import relocate
from verl_env.environment.reuse import link_files, packages_of, remainder, scaffold, sites
from verl_env.environment.running import in_use, processes_in, told
from verl_env.environment.state import read_state, write_state
from verl_env.environment.target import Target
from verl_env.environment.worded import worded
from verl_env.interrupts import shielded
from verl_env.reading import what_is
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from verl_env.environment.installed import Distribution
    from verl_env.environment.overlap import Identity
    from verl_env.environment.state import State

#: uv's lock of an environment that it installs into; uv makes it writable for everyone, whatever the umask.
_UV_LOCK = ".lock"
#: Seconds to wait for another run on the same environment.
LOCK_SECONDS = 900.0


class NewGeneration:
    """A generation that is being made.

    Args:
        target: The environment.
        command: What makes it, for the history.
        tell: Is told which processes run in the environment when it is put in force.

    Attributes:
        path: The generation; nothing is there yet.
        stage: A directory beside it, for files that nobody keeps.
        old: The generation in force; None where there is none.
        started: When it was begun.
    """

    def __init__(self, target: Target, command: str, tell: Callable[[str], None]) -> None:
        self.target = target
        self.tell = tell
        self.command = command
        self.old = target.current()
        self.path = target.next_generation()
        self.stage = self.path.with_suffix(".stage")
        self._entry = journal.begin(target.journal, self.path.name)
        self.stage.mkdir()
        #: What was read of its RECORDs so far.
        self.read = {} if self.old is None else kept_files(self.old)
        self._guarded: dict[str, Identity] = {}

    @property
    def started(self) -> str:
        """When it was begun (ISO 8601, UTC)."""
        return self._entry.started

    def begin_from_old(self) -> None:
        """Takes over the interpreter and all else that belongs to no package; no package is in it yet."""
        old = self._in_force()
        for site in sites(old):
            (self.path / site.relative_to(old)).mkdir(parents=True)
        link_files(old, self.path, scaffold(old))
        self._bind()
        self._guarded = guarded_files(self.path)

    def take_over(self, *, gone: Collection[str] = ()) -> dict[str, Distribution]:
        """Takes over every package but those that were installed anew and those in ``gone``.

        Returns:
            What is installed in it.

        Raises:
            FilesOverlapError: it has a file of a package that is taken over, or of the environment itself.
        """
        old = self._in_force()
        kept = frozenset(remainder(old, {*packages_of(self.path), *gone}))
        refuse_guarded(self.path, self._guarded)
        refuse_overlaps(self.path, old, kept)
        link_files(old, self.path, kept)
        return packages_of(self.path)

    def amend(self, state: State) -> None:
        """Writes another record into the generation in force, in one step; nothing else is changed."""
        write_state(self._in_force(), state)

    def settle(self) -> None:
        """Makes its texts speak of the path that users name."""
        self._bind()
        before = None if self.old is None else read_state(self.old)
        moved = [] if before is None or before.path == str(self.target.path) else [Path(before.path)]
        # A process is told that it runs in the generation, and so is a pip in it that writes scripts.
        bound = [] if self.old is None else [self.target.store / self.old.name]
        relocate(self.path, sites(self.path)[0], names=[self.path, *bound, *moved], to=self.target.path)

    def commit(self, state: State | None = None, pins: Mapping[str, str] | None = None) -> None:
        """Puts it in force.

        Args:
            state: The record to write; None keeps the one that it has.
            pins: The pins to write; None keeps those that it has.
        """
        target = self.target
        self.settle()
        (self.path / _UV_LOCK).unlink(missing_ok=True)
        before = None if self.old is None else read_state(self.old)
        state = before if state is None else state
        if state is not None:
            write_state(self.path, replace(state, path=str(target.path)))
        if state is not None and pins is not None:
            write_pins(self.path, target.path, state.lockset, pins, self.old)
        locksets = tuple(None if each is None else each.lockset for each in (before, state))
        old = {} if self.old is None else packages_of(self.old)
        new = packages_of(self.path)
        if state is not None:
            keep_files(self.path, expected_files(new, self.read))
        changed = changes(old, new)
        put_in_force(target, self.path, self.command, locksets, changed, self._entry, self.tell)

    def _bind(self) -> None:
        # An environment of another tool is no link: its processes cannot be bound.
        if not isinstance(self.target, PlainTarget):
            bind_at_start(self.path)

    def _in_force(self) -> Path:
        if self.old is None:
            raise EnvironmentForeignError(self.target.path, "no environment")
        return self.old


@contextmanager
def change(
    target: Target, command: str, *, waiting: Callable[[str], None], seconds: float = LOCK_SECONDS
) -> Iterator[NewGeneration]:
    """A new generation of an environment, under its lock; it is in force once it is committed, else it never was.

    Args:
        target: The environment.
        command: What changes it, for the history.
        waiting: Is told whom it waits for, and which processes run in the environment.
        seconds: How long to wait for another run.

    Raises:
        EnvironmentLockedError: another run held the lock all that time.
        TargetPermissionError: the store cannot be written.
        DiskFullError: there is no room.
    """
    with held(target, waiting=waiting, seconds=seconds):
        yield NewGeneration(target, command, waiting)


@contextmanager
def held(target: Target, *, waiting: Callable[[str], None], seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Holds the lock of an environment; what dead runs left is cleared away, and what this one leaves."""
    words = "{} is being changed by {}; waiting for it".format
    with worded(target):
        target.make_store()
        with locked(target, seconds=seconds, waiting=lambda who: waiting(words(target.path, who))):
            target.recover()
            clear(target)
            try:
                yield
            finally:
                with shielded():
                    clear(target)


def clear(target: Target) -> None:
    """Removes every generation but the one in force, the one before and those in use, and the journal.

    The lock is held. What was begun and never was in force nobody uses: a check in it was killed, and is there still.
    """
    left = target.leftovers()
    begun = journal.read(target.journal) if left else None
    never = {begun.generation} if begun is not None and begun.phase == "prepare" else frozenset()
    kept = in_use(target) - never if left else ()
    remove_trees([path for path in left if path.name not in kept])
    target.journal.unlink(missing_ok=True)


def forget_previous(target: Target) -> bool:
    """Removes the generation before the one in force, to make room.

    False where there is none, where a process runs in it, or a run is at work.
    """
    name = target.previous()
    if name is None or any(each.generation == name for each in processes_in(target)):
        return False
    try:
        with held(target, waiting=lambda _: None, seconds=0):
            return not remove_trees([target.store / name])
    except EnvironmentLockedError:
        return False


def put_in_force(  # noqa: PLR0917
    target: Target,
    generation: Path,
    command: str,
    locksets: tuple[str | None, ...],
    changed: tuple[Change, ...],
    entry: journal.Journal,
    tell: Callable[[str], None],
) -> None:
    """Writes a change down and puts its generation in force, by one rename; tells who runs in the environment."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    before, after = locksets
    done = Entry(now, user(), command, before, after, generation.name, target.generation, as_json(changed))
    write_entries(target.history, [*target.entries(), done])
    lines = told(target, generation.name)
    journal.write(target.journal, replace(entry, phase="switch"))
    # What the rename puts in force is on the disk before it is: a power loss leaves the old state or the new one.
    sync_file_system(target.store)
    target.point_to(generation)
    sync_directory(target.path.parent)
    register(target.path)
    for line in lines:
        tell(line)


def changes(old: Mapping[str, Distribution], new: Mapping[str, Distribution]) -> tuple[Change, ...]:
    """What differs between the packages of two generations."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        before, after = None if was is None else was.version, None if now is None else now.version
        if before != after:
            found.append(Change("+" if was is None else "-" if now is None else "~", name, before, after))
    return tuple(found)


def changeable(path: Path) -> Target:
    """The environment at a path, whoever made it.

    Raises:
        EnvironmentUnchangeableError: it is none, or that of the system, which nobody should change as a whole.
    """
    target = Target(path.absolute())
    if target.current() is not None:
        return target
    plain = PlainTarget(path.resolve())
    if not plain.path.is_dir() and plain.store.is_dir():
        plain.recover()
    if any((plain.path / name).exists() for name in ("pyvenv.cfg", "conda-meta")):
        return plain
    found = "neither a virtual environment nor one of conda" if plain.path.is_dir() else what_is(plain.path)
    raise EnvironmentUnchangeableError(plain.path, f"it is {found}")
