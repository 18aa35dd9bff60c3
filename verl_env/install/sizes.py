"""Sizes in words, and what a set of packages costs."""

from __future__ import annotations

from verl_env.install.model import Cost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from verl_env.locksets.model import Package

_UNITS = ((10**9, "GB", 2), (10**6, "MB", 0), (10**3, "kB", 0))


def human(size: int) -> str:
    """A size in the decimal unit that fits it: ``3.98 GB``, ``120 MB``, ``4 kB``, ``17 B``."""
    for scale, unit, places in _UNITS:
        if size >= scale:
            return f"{size / scale:.{places}f} {unit}"
    return f"{size} B"


def cost(packages: Iterable[Package]) -> Cost:
    """What packages cost together; ``exact`` only where the lock states the size of every one."""
    download = disk = 0
    exact = True
    for package in packages:
        download += package.download_bytes or 0
        disk += package.disk_bytes or package.download_bytes or 0
        exact = exact and package.download_bytes is not None and package.disk_bytes is not None
    return Cost(download, disk, exact)
