"""A new generation that differs from the one in force in some packages, and in nothing else.

As in an installation: what is new is installed first, into a generation that holds nothing, and then everything of the
old one that is not replaced gets a second name in it (hard links). So no installer writes into a file that the
environment in force shares, and until the last rename nothing of it changes.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.install import journal
from verl_env.install.additions.environment import base_interpreter
from verl_env.install.additions.pins import write_pins
from verl_env.install.classify import classify
from verl_env.install.compare import same_version
from verl_env.install.failures import EnvironmentMismatch
from verl_env.install.files import link_or_copy, remove_trees
from verl_env.install.installed import installed, site_packages
from verl_env.install.lock import locked
from verl_env.install.model import Change
from verl_env.install.process import run
from verl_env.install.record import read_record, relative_to_environment
from verl_env.install.relocate import relocate
from verl_env.install.state import write_state
from verl_env.records import replace as with_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from verl_env.install.additions.environment import Opened
    from verl_env.install.additions.model import Found
    from verl_env.install.backends.base import Command, Installer
    from verl_env.install.installed import Distribution
    from verl_env.install.reporter import Reporter
    from verl_env.install.state import State
    from verl_env.install.target import Target


@dataclass(frozen=True, slots=True)
class Work:
    """Where a new generation is made, and a directory beside it for files."""

    new: Path
    stage: Path
    entry: journal.Journal


@contextmanager
def at_work(target: Target, reporter: Reporter, *, seconds: float) -> Iterator[Work]:
    """Holds the lock of a target and clears away, afterwards too, what is not in force.

    Raises:
        EnvironmentLocked: another run held the lock all that time.
    """
    words = "{} is being changed by {}; waiting for it".format
    with locked(target, seconds=seconds, waiting=lambda who: reporter.note(words(target.path, who))):
        remove_trees(target.leftovers())
        new = target.next_generation()
        stage = new.with_suffix(".stage")
        try:
            entry = journal.begin(target.journal, new.name)
            stage.mkdir()
            yield Work(new, stage, entry)
        finally:
            remove_trees(target.leftovers())
            target.journal.unlink(missing_ok=True)


def make_generation(
    opened: Opened,
    work: Work,
    installer: Installer,
    reporter: Reporter,
    *,
    fill: Callable[[], None] = lambda: None,
    gone: Collection[str] = (),
) -> dict[str, Distribution]:
    """Makes the generation: what ``fill`` installs, and of the old one all but what that replaces and ``gone``.

    Returns:
        What is installed in it.

    Raises:
        VerlEnvError: the installer failed.
    """
    python = base_interpreter(opened.generation)
    run_installer(installer, installer.make_environment(work.new, python, opened.target.path.name), reporter)
    fill()
    site = site_packages(work.new, opened.state.python)
    replaced = {*installed(site), *gone}
    _link(opened.generation, work.new, _left(opened, replaced))
    return installed(site)


def requirements(work: Work, name: str, found: Sequence[Found], options: Sequence[str]) -> Path:
    """A requirements file for exactly these packages; the options stand at its head."""
    pairs = list(options)
    head = []
    while pairs:
        option = pairs.pop(0)
        head.append(option if option == "--no-index" else f"{option} {pairs.pop(0)}")
    file = work.stage / f"{name}.txt"
    file.write_text("\n".join([*head, *(each.line for each in found)]) + "\n", encoding="utf-8")
    return file


def check_versions(found: Sequence[Found], have: Mapping[str, Distribution]) -> None:
    """Whether what the resolver chose is there.

    Raises:
        EnvironmentMismatch: it is not.
    """
    wrong = [
        Change("~", each.name, have[each.name].version if each.name in have else None, each.version)
        for each in found
        if each.name not in have
        or (each.version and not same_version(have[each.name].version, each.version, local=True))
    ]
    if wrong:
        raise EnvironmentMismatch(wrong)


def put_in_force(opened: Opened, work: Work, state: State, pins: Mapping[str, str]) -> None:
    """Writes the record of a generation and its pins, and puts it in force by one rename."""
    target = opened.target
    site = site_packages(work.new, state.python)
    moved = [] if state.path == str(target.path) else [Path(state.path)]
    relocate(work.new, site, names=[work.new, *moved], to=target.path)
    write_state(work.new, with_values(state, path=str(target.path)))
    write_pins(work.new, target.path, state.lockset, pins, opened.generation)
    journal.write(target.journal, replace(work.entry, phase="switch"))
    target.point_to(work.new)


def run_installer(installer: Installer, command: Command, reporter: Reporter) -> None:
    """Runs an installer, its output shown on a terminal.

    Raises:
        VerlEnvError: it failed; the subclass says why.
    """
    done = run(command, reporter.terminal)
    if done.code != 0:
        raise classify(installer.name, command.argv, done.code, done.output)


def _left(opened: Opened, names: Collection[str]) -> set[str]:
    """The files of some packages in the old generation, relative to it, but for those that others list too."""
    site = site_packages(opened.generation, opened.state.python)
    theirs: set[str] = set()
    others: set[str] = set()
    for name, distribution in installed(site).items():
        rows = read_record(distribution.folder) or ()
        files = {relative_to_environment(row[0], site, opened.generation) for row in rows}
        (theirs if name in names else others).update(file for file in files if file is not None)
        if name in names:
            theirs.add(os.path.relpath(distribution.folder, opened.generation))
    return theirs - others


def _link(old: Path, new: Path, left: set[str]) -> None:
    """Gives everything in the old generation a name in the new one, but what is left and what is there already."""
    made: set[str] = set()
    for folder, folders, files in os.walk(old):
        place = os.path.relpath(folder, old)
        folders[:] = [name for name in folders if os.path.normpath(f"{place}/{name}") not in left]
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114
        for name in [*files, *links]:
            path = os.path.normpath(f"{place}/{name}")
            if path in left or _is_bytecode_of(path, left) or os.path.lexists(new / path):
                continue
            if place not in made:
                # Not before there is a file: an empty directory would be importable.
                os.makedirs(new / place, exist_ok=True)  # noqa: PTH103
                made.add(place)
            link_or_copy(f"{folder}/{name}", f"{new}/{path}")


def _is_bytecode_of(path: str, left: set[str]) -> bool:
    """Whether a file is the compiled form of a source file that is left."""
    folder, _, file = path.rpartition("/__pycache__/")
    return bool(file) and f"{folder}/{file.partition('.')[0]}.py" in left
