"""The Python sources of a wheel on an index, read by few range requests and no source twice.

The directory of an archive tells the checksum of each file, and neighbouring files are read in one request: of a wheel
of half a gigabyte some megabytes are fetched, of the release after it what changed.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING

from verl_env.locksets.web import fetch
from verl_env.locksets.wheelfacts import RemoteFile
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Bytes that are rather read in vain than left out by another request, and the most that one request asks for.
_GAP, _MOST = 256 * 1024, 16 * 1024 * 1024
#: Requests side by side: the index takes its time for each, not for its bytes.
ABREAST = 8
_LOCAL_HEADER, _NAMES_AT = 30, 26


@record
class WheelSource:
    """A source file of a wheel: its path, and what tells it from another text (checksum and size)."""

    path: str
    same: tuple[int, int]
    start: int
    length: int
    method: int


def sources(url: str) -> tuple[WheelSource, ...]:
    """The Python files of a wheel, in the order in which it holds them.

    Raises:
        IndexUnreachableError: it cannot be read.
        BadZipFile: it is no archive.
    """
    with zipfile.ZipFile(io.BufferedReader(RemoteFile(url), 1024 * 1024)) as wheel:
        entries = [entry for entry in wheel.infolist() if entry.filename.endswith(".py")]
    found = (
        WheelSource(one.filename, (one.CRC, one.file_size), one.header_offset, one.compress_size, one.compress_type)
        for one in entries
    )
    return tuple(sorted(found, key=lambda one: one.start))


def texts(url: str, wanted: Sequence[WheelSource]) -> Iterator[tuple[WheelSource, str]]:
    """The texts of some sources of a wheel.

    Raises:
        IndexUnreachableError: it cannot be read.
    """
    with ThreadPoolExecutor(ABREAST) as pool:
        for found in pool.map(lambda group: _group(url, group), _groups(wanted)):
            yield from found


def _group(url: str, group: Sequence[WheelSource]) -> list[tuple[WheelSource, str]]:
    start = group[0].start
    end = max(one.start + one.length + _LOCAL_HEADER + 2 * len(one.path) + 256 for one in group)
    answer = fetch(url, {"Range": f"bytes={start}-{end - 1}"})
    begin = start if answer.status == HTTPStatus.PARTIAL_CONTENT else 0  # a server that knows no ranges sends all
    return [(one, _text(answer.content, one.start - begin, one)) for one in group]


def _groups(wanted: Sequence[WheelSource]) -> Iterator[list[WheelSource]]:
    group: list[WheelSource] = []
    for one in sorted(wanted, key=lambda each: each.start):
        if group and (
            one.start - (group[-1].start + group[-1].length) > _GAP or one.start + one.length - group[0].start > _MOST
        ):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _text(content: bytes, at: int, one: WheelSource) -> str:
    names, extra = struct.unpack_from("<HH", content, at + _NAMES_AT)
    begin = at + _LOCAL_HEADER + names + extra
    packed = content[begin : begin + one.length]
    plain = zlib.decompress(packed, -15) if one.method == zipfile.ZIP_DEFLATED else packed
    return plain.decode("utf-8", "replace")
