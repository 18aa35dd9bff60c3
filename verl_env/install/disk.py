"""Whether there is room for bytes and files, by the file system and by quotas, asked before anything is downloaded."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from verl_env.environment.errors import FILE_SYSTEM, DiskFullError
from verl_env.machine.system.quota import quotas
from verl_env.records import record, replace
from verl_env.sizes import existing, free_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.machine.system.quota import Quota
    from verl_env.plans.model import Cost


@record
class Free:
    """What may still be written: bytes, files (None for no limit), and what limits each, in words."""

    bytes: int
    files: int | None
    bytes_by: str = FILE_SYSTEM
    files_by: str = FILE_SYSTEM


def free_room(path: Path) -> Free:
    """What may still be written below a path: the least that the file system and the quotas on it leave."""
    found = Free(free_bytes(path), free_files(path))
    for quota in _quotas(existing(path)):
        if quota.bytes is not None and quota.bytes < found.bytes:
            found = replace(found, bytes=quota.bytes, bytes_by=quota.source)
        if quota.files is not None and (found.files is None or quota.files < found.files):
            found = replace(found, files=quota.files, files_by=quota.source)
    return found


@functools.cache
def _quotas(path: Path) -> tuple[Quota, ...]:
    """The quotas on a place, asked for once in a run."""
    return quotas(path)


def free_files(path: Path) -> int | None:
    """The inodes that an ordinary user may still make on the file system of a path; None where it counts none."""
    status = os.statvfs(existing(path))
    return status.f_favail if status.f_files else None


def check_room(place: Path, cost: Cost, *, cache: Path | None, cached: Cost, linked: bool) -> None:
    """Makes sure that a set of packages fits.

    What is surely written counts always; what goes through the installer's cache counts where that cache is empty,
    as a filled one may hold all of it.

    Args:
        place: The directory that the environment is made in.
        cost: What the packages cost.
        cache: The installer's cache.
        cached: What the installer would keep there of the packages (``disk_bytes``, ``files``).
        linked: Whether files are hard-linked out of the cache, and take no room of their own.

    Raises:
        DiskFullError: they do not fit into the file system of the environment, or of the cache.
    """
    size, files = (0, 0) if linked else (cost.disk_bytes, cost.files)
    if cache is not None and _is_empty(cache):
        if _device(cache) != _device(place):
            _need(cache, cached.disk_bytes, cached.files)
        else:
            size, files = size + cached.disk_bytes, files + cached.files
    _need(place, size, files)


def _need(path: Path, size: int, files: int) -> None:
    free = free_room(path)
    if free.bytes < size:
        raise DiskFullError(path, need=size, free=free.bytes, by=free.bytes_by)
    if free.files is not None and free.files < files:
        raise DiskFullError(path, need=files, free=free.files, by=free.files_by, files=True)


def _device(path: Path) -> int:
    return existing(path).stat().st_dev


def _is_empty(cache: Path) -> bool:
    try:
        return next(cache.iterdir(), None) is None
    except OSError:
        return True
