"""Whether there is room, asked before anything is downloaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.environment.errors import DiskFull

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.install.model import Cost


def free_bytes(path: Path) -> int:
    """What an ordinary user may still write to the file system of a path; quotas do not show here."""
    status = os.statvfs(_existing(path))
    return status.f_bavail * status.f_frsize


def check_room(place: Path, cost: Cost, *, cache: Path | None, cached_bytes: int, linked: bool) -> None:
    """Makes sure that a set of packages fits.

    What is surely written counts always; what goes through the installer's cache counts where that cache is empty,
    as a filled one may hold all of it.

    Args:
        place: The directory that the environment is made in.
        cost: What the packages cost.
        cache: The installer's cache.
        cached_bytes: What the installer would keep there of the packages: uv what they are on disk, pip the download.
        linked: Whether files are hard-linked out of the cache, and take no room of their own.

    Raises:
        DiskFull: they do not fit into the file system of the environment, or of the cache.
    """
    written = 0 if linked else cost.disk_bytes
    through_cache = cached_bytes if cache is not None and _is_empty(cache) else 0
    if cache is not None and _device(cache) != _device(place):
        _need(cache, through_cache)
        through_cache = 0
    _need(place, written + through_cache)


def _need(path: Path, size: int) -> None:
    free = free_bytes(path)
    if free < size:
        raise DiskFull(path, need=size, free=free)


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _device(path: Path) -> int:
    return _existing(path).stat().st_dev


def _is_empty(cache: Path) -> bool:
    try:
        return next(cache.iterdir(), None) is None
    except OSError:
        return True
