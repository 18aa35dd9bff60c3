"""Sizes as texts, and what a file system has left."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

#: The scale of a unit, its name, its decimal places.
_UNITS = ((10**9, "GB", 2), (10**6, "MB", 0), (10**3, "kB", 0))


def human(size: int) -> str:
    """A size in the decimal unit that fits it: ``3.98 GB``, ``120 MB``, ``4 kB``, ``17 B``."""
    for scale, unit, places in _UNITS:
        if size >= scale:
            return f"{size / scale:.{places}f} {unit}"
    return f"{size} B"


def free_bytes(path: Path) -> int:
    """What an ordinary user may still write to the file system of a path; quotas do not show here."""
    status = os.statvfs(existing(path))
    return status.f_bavail * status.f_frsize


def existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    return next(parent for parent in (path, *path.parents) if parent.exists())
