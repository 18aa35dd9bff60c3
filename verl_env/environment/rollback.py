"""Back to what an environment was before its last change; once more, and the change is in force again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment import journal
from verl_env.environment.change import changes, held, put_in_force
from verl_env.environment.errors import NothingToRollBackError
from verl_env.environment.relocate import relocate
from verl_env.environment.reuse import packages_of, sites
from verl_env.environment.state import read_state, write_state
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from verl_env.environment.history import Entry
    from verl_env.environment.target import Target


def rollback(target: Target, *, waiting: Callable[[str], None]) -> Entry:
    """Puts the generation before the one in force in its place, and keeps the other.

    ``waiting`` is told whom it waits for, and which processes run in the environment.

    Returns:
        What was done, as the history has it.

    Raises:
        NothingToRollBackError: there is none.
        EnvironmentLockedError: another run is changing it.
    """
    if target.current() is None or target.previous() is None:
        raise NothingToRollBackError(target.path)
    with held(target, waiting=waiting):
        name, current = target.previous(), target.current()
        if name is None or current is None:
            raise NothingToRollBackError(target.path)
        generation = target.store / name
        entry = journal.begin(target.journal, name)
        state, now = read_state(generation), read_state(current)
        if state is not None and state.path != str(target.path):
            # The environment was moved since.
            relocate(generation, sites(generation)[0], names=[Path(state.path)], to=target.path)
            write_state(generation, replace(state, path=str(target.path)))
        locksets = tuple(None if each is None else each.lockset for each in (now, state))
        packages = changes(packages_of(current), packages_of(generation))
        put_in_force(target, generation, "rollback", locksets, packages, entry, waiting)
        return target.entries()[-1]
