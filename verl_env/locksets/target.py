"""What a lock is for: one Python on one architecture with one glibc, whatever machine the lock is made on."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from packaging.tags import Tag, compatible_tags, cpython_tags

from verl_env.records import record
from verl_env.versions import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from verl_env.locksets.model import Lockset

#: glibc releases that the oldest platform tags stand for (PEP 513, 571, 599).
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_OLDEST = 5
#: The glibc of a machine that does not say its own, where the lockset states none either.
OLDEST_GLIBC = "2.17"


@record
class LockTarget:
    """A Python (``"3.10"``), an architecture as Linux names it, and a glibc.

    Markers are those of the first patch release, so that a lock holds what any later one may leave out.
    """

    python: str
    arch: str
    glibc: str

    @property
    def python_full(self) -> str:
        """The Python with the patch number that markers see."""
        return f"{self.python}.0"

    @property
    def uv_platform(self) -> str:
        """The platform in uv's words."""
        return f"{self.arch}-manylinux_{self.glibc.replace('.', '_')}"

    @property
    def tags(self) -> Mapping[Tag, int]:
        """Every wheel tag that it takes, with its rank; 0 is the best."""
        return _tags(self)

    @property
    def markers(self) -> Mapping[str, str]:
        """The environment that markers are evaluated in."""
        return _markers(self)


@cache
def _markers(target: LockTarget) -> Mapping[str, str]:
    return {
        "implementation_name": "cpython",
        "implementation_version": target.python_full,
        "os_name": "posix",
        "platform_machine": target.arch,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": target.python_full,
        "python_version": target.python,
        "sys_platform": "linux",
    }


@cache
def _tags(target: LockTarget) -> Mapping[Tag, int]:
    version = dotted(target.python)
    platforms = list(_platforms(target))
    ordered = [
        *cpython_tags(version, platforms=platforms),
        *compatible_tags(version, f"cp{''.join(map(str, version))}", platforms),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(ordered)))}


def _platforms(target: LockTarget) -> Iterator[str]:
    major, minor = dotted(target.glibc)
    for number in range(minor, _OLDEST - 1, -1):
        yield f"manylinux_{major}_{number}_{target.arch}"
        if legacy := _LEGACY.get((major, number)):
            yield f"{legacy}_{target.arch}"
    yield f"linux_{target.arch}"


def oldest_glibc(lockset: Lockset) -> str:
    """The glibc to take files for where a machine does not state its own: the least of the lockset."""
    return lockset.requires.glibc.minimum if lockset.requires.glibc is not None else OLDEST_GLIBC


def glibc_of(tag: Tag) -> str | None:
    """The glibc that a platform tag promises to need; None where it names none."""
    platform = tag.platform
    for (major, minor), legacy in _LEGACY.items():
        if platform.startswith(f"{legacy}_"):
            return f"{major}.{minor}"
    if platform.startswith("manylinux_"):
        _, major_text, minor_text, *_ = platform.split("_")
        return f"{major_text}.{minor_text}"
    return None
