"""Sizes as texts."""

from __future__ import annotations

#: The scale of a unit, its name, its decimal places.
_UNITS = ((10**9, "GB", 2), (10**6, "MB", 0), (10**3, "kB", 0))


def human(size: int) -> str:
    """A size in the decimal unit that fits it: ``3.98 GB``, ``120 MB``, ``4 kB``, ``17 B``."""
    for scale, unit, places in _UNITS:
        if size >= scale:
            return f"{size / scale:.{places}f} {unit}"
    return f"{size} B"
