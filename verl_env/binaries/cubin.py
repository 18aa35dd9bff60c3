"""The GPU architectures that the fat binaries of an object hold.

Layout of ``.nv_fatbin`` as observed in published wheels and described by the CUDA binary utilities' output: records
that begin with the magic 0xBA55ED50, a 16-byte header with the size of the payload, and entries whose header holds
kind (1 is PTX, 2 is machine code), its own size, the size of the code, and at byte 28 the architecture times ten.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfFile

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = 0xBA55ED50
_PTX, _SASS = 1, 2
_ENTRY = 64
#: Records that are looked at; every record of one build holds the same architectures, save for special kernels.
_RECORDS = 4096


@dataclass(frozen=True, slots=True)
class Architectures:
    """Compute capabilities (``"9.0"``) with machine code, and those with PTX."""

    sass: frozenset[str]
    ptx: frozenset[str]

    def runs_on(self, capability: str) -> bool:
        """Whether some kernel runs there: code of the same major and no higher minor, or PTX of no higher one."""
        major, minor = _parts(capability)
        same = any(_parts(have)[0] == major and _parts(have)[1] <= minor for have in self.sass)
        return same or any(_parts(have) <= (major, minor) for have in self.ptx)


def read_architectures(path: str | Path, *, limit: int = _RECORDS) -> Architectures | None:
    """The architectures of an object; None where it holds no fat binary that can be read.

    Raises:
        ElfError: it is no object.
        OSError: it cannot be read.
    """
    with ElfFile(path) as elf:
        section = elf.section(".nv_fatbin")
    if section is None:
        return None
    found: dict[int, set[str]] = {_PTX: set(), _SASS: set()}
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  only its descriptor is used
        _walk(file.fileno(), *section, found, limit)
    return Architectures(frozenset(found[_SASS]), frozenset(found[_PTX])) if found[_PTX] or found[_SASS] else None


def _walk(file: int, offset: int, size: int, found: dict[int, set[str]], limit: int) -> None:
    """Hops from record to record; what lies between them is alignment."""
    place, end = offset, offset + size
    while place + 16 <= end and limit:
        magic, _, header, length = struct.unpack("<IHHQ", os.pread(file, 16, place))
        if magic != _MAGIC:
            place += 8
            continue
        _entries(file, place + header, min(place + header + length, end), found)
        place += header + length
        limit -= 1


def _entries(file: int, place: int, end: int, found: dict[int, set[str]]) -> None:
    while place + _ENTRY <= end:
        kind, _, header, length, architecture = struct.unpack("<HHIQ12xI", os.pread(file, 32, place))
        if kind not in found or not header:
            return
        found[kind].add(f"{architecture // 10}.{architecture % 10}")
        place += header + length


def _parts(capability: str) -> tuple[int, int]:
    major, _, minor = capability.partition(".")
    return int(major), int(minor)
