"""The GPU architectures that the fat binaries of an object hold.

Layout of ``.nv_fatbin`` as observed in published wheels and described by the CUDA binary utilities' output: records
that begin with the magic 0xBA55ED50, a 16-byte header with the size of the payload, and entries whose header holds
kind (1 is PTX, 2 is machine code), its own size, the size of the code, and at byte 28 the architecture times ten.
"""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfError, ElfFile
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[[int, int], bytes]

MAGIC = 0xBA55ED50
PTX, SASS = 1, 2
#: Bytes of a record's header, and of what is known of an entry's.
HEADER, ENTRY = 16, 64
#: Records that are looked at; every record of one build holds the same architectures, save for special kernels.
RECORDS = 4096
#: Steps without a record, 8 bytes each, after which the rest is something else; alignment takes a few.
_LOST = 1024


@record
class Architectures:
    """Compute capabilities (``"9.0"``) with machine code, and those with PTX."""

    sass: frozenset[str]
    ptx: frozenset[str]


def read_architectures(path: str | Path, *, limit: int = RECORDS) -> Architectures | None:
    """The architectures of an object; None where it holds no fat binary that can be read.

    Raises:
        ElfError: it is no object.
        OSError: it cannot be read.
    """
    with ExitStack() as stack:
        elf = stack.enter_context(ElfFile(path))
        file = stack.enter_context(open(path, "rb", buffering=0))  # noqa: PTH123  only its descriptor is used
        # Single reads: a mapping would read whole pages around each of them.
        return architectures(elf, lambda place, size: os.pread(file.fileno(), size, place), limit)


def architectures(elf: ElfFile, read: Read, limit: int = RECORDS) -> Architectures | None:
    """The architectures of an open object, whose bytes ``read(place, size)`` gives.

    Raises:
        ElfError: it is damaged.
    """
    section = elf.section(".nv_fatbin")
    if section is None:
        return None
    found: dict[int, set[str]] = {PTX: set(), SASS: set()}
    try:
        _walk(read, *section, found, limit)
    except (struct.error, OverflowError) as error:
        raise ElfError("is cut off") from error
    return Architectures(frozenset(found[SASS]), frozenset(found[PTX])) if found[PTX] or found[SASS] else None


def _walk(read: Read, offset: int, size: int, found: dict[int, set[str]], limit: int) -> None:
    """Hops from record to record; what lies between them is alignment."""
    place, end, lost = offset, offset + size, 0
    while place + HEADER <= end and limit and lost < _LOST:
        magic, _, header, length = struct.unpack("<IHHQ", read(place, HEADER))
        if magic != MAGIC:
            place, lost = place + 8, lost + 1
            continue
        _entries(read, place + header, min(place + header + length, end), found)
        place += max(header + length, 8)
        limit, lost = limit - 1, 0


def _entries(read: Read, place: int, end: int, found: dict[int, set[str]]) -> None:
    while place + ENTRY <= end:
        kind, _, header, length, architecture = struct.unpack("<HHIQ12xI", read(place, 32))
        if kind not in found or not header:
            return
        found[kind].add(f"{architecture // 10}.{architecture % 10}")
        place += header + length
