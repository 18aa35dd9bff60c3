"""Removes an environment that verl-env made, with its store, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.errors import NotRemovableError, RemovalIncompleteError
from verl_env.environment.files import remove_trees
from verl_env.environment.known.registry import forget
from verl_env.environment.lock import locked
from verl_env.environment.target import LAST, Target
from verl_env.environment.worded import worded

if TYPE_CHECKING:
    from collections.abc import Callable


def removable(path: Path) -> Target:
    """The environment at a path, once it is certain that verl-env made it; nothing is touched.

    What an installation left that never came to its end is one too: a store without an environment.

    Raises:
        NotRemovableError: something else is there, or nothing, or the store holds what verl-env did not put there.
    """
    target = Target(Path(os.path.abspath(path)))  # noqa: PTH100 (resolve() would follow the link of the target)
    found = os.path.lexists(target.path) and target.current() is None
    if found or not target.is_ours():
        raise NotRemovableError(target.path, _found(target.path))
    if foreign := target.foreign():
        raise NotRemovableError(target.store, f"a directory with {foreign[0].name!r}")
    return target


def remove(target: Target, *, waiting: Callable[[str], None], seconds: float) -> None:
    """Removes the link first, so that nothing starts in what is half gone, and the store's own marks last.

    A removal that is interrupted goes on when it is asked for again.

    Args:
        target: What ``removable`` gave.
        waiting: Is told whom it waits for.
        seconds: How long to wait for another run on it.

    Raises:
        EnvironmentLockedError: another run held its lock all that time.
        TargetPermissionError: something may not be removed.
        RemovalIncompleteError: files are in use, on NFS.
    """
    with worded(target):
        words = "{} is being changed by {}; waiting for it".format
        with locked(target, seconds=seconds, waiting=lambda who: waiting(words(target.path, who))):
            if target.current() is not None:
                target.path.unlink()
            left = remove_trees([each for each in target.store.iterdir() if each.name not in LAST])
            left = left or remove_trees([target.store])
    if left:
        raise RemovalIncompleteError(target.path, left[0])
    forget(target.path)


def _found(path: Path) -> str:
    if not os.path.lexists(path):
        return "not there"
    if path.is_symlink():
        return f"a link to {os.readlink(path)}"  # noqa: PTH115
    if not path.is_dir():
        return "a file"
    return "a virtual environment" if (path / "pyvenv.cfg").exists() else "a directory"
