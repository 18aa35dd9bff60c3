"""Whose files are taken out of a cache: one's own, root's, and those of the owners that a configuration trusts.

A cache that others may write is a way into every environment that takes from it. So every directory from the cache's
own down to the file must belong to somebody trusted and may be written by nobody else.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from verl_env.settings.config import load_config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_ALWAYS = ("root",)


def distrust(path: Path, root: Path, *, whole: bool = False, trusted: Iterable[str] | None = None) -> str | None:
    """Why a file or directory of a cache is not taken; None where it may be.

    Args:
        path: A file or directory below the cache, or the cache.
        root: The cache itself. Above it, no directory may be writable by everyone unless it keeps each user's own
            (sticky, as ``/tmp``).
        whole: Whether all that a directory holds is looked at too.
        trusted: Names of users, and of groups after ``@``; None for those of the configuration.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    names = {*_ALWAYS, *(load_config().trusted if trusted is None else trusted)}
    groups = frozenset(name[1:] for name in names if name.startswith("@"))
    for each, is_above in _chain(path, root, whole=whole):
        try:
            found = os.stat(each) if is_above else os.lstat(each)  # noqa: PTH116
        except OSError as error:
            return f"{each} cannot be looked at ({error.strerror})"
        reason = _open_above(found) if is_above else _fault(found, names, groups)
        if reason is not None:
            return f"{each} {reason}"
    return None


def _chain(path: Path, root: Path, *, whole: bool) -> Iterator[tuple[str, bool]]:
    """Every name that decides what a file is, and whether it lies above the cache."""
    yield from ((str(above), True) for above in root.absolute().parents)
    yield os.path.realpath(root), False
    below = path.relative_to(root)
    yield from ((str(root / part), False) for part in (*reversed(below.parents[:-1]), below))
    for folder, folders, files in os.walk(path) if whole else ():
        yield from ((f"{folder}/{name}", False) for name in [*folders, *files])


def _open_above(found: os.stat_result) -> str | None:
    """A sticky directory lets nobody rename what is another's."""
    return "may be written by everyone" if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX else None


def _fault(found: os.stat_result, names: Iterable[str], groups: frozenset[str]) -> str | None:
    owner = _user(found.st_uid)
    if found.st_uid != os.geteuid() and owner not in names and not groups & _groups_of(owner):
        return f'belongs to {owner}, whom the configuration does not trust (trusted = ["{owner}"])'
    if stat.S_ISLNK(found.st_mode):
        return None
    if found.st_mode & stat.S_IWOTH:
        return "may be written by everyone"
    group = _group(found.st_gid)
    # A group of one's own has the name of its user (as Debian, Ubuntu and Fedora make them).
    if found.st_mode & stat.S_IWGRP and group not in groups and group != _user(os.geteuid()):
        return f'may be written by the group {group}, which the configuration does not trust (trusted = ["@{group}"])'
    return None


def _user(number: int) -> str:
    import pwd  # noqa: PLC0415 (only what takes from a cache needs it)

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    import grp  # noqa: PLC0415

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _groups_of(user: str) -> frozenset[str]:
    import pwd  # noqa: PLC0415

    try:
        numbers = os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
    except KeyError:
        return frozenset()
    return frozenset(map(_group, numbers))
