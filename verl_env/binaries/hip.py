"""The gfx targets that the HIP fat binaries of an object hold.

Layout of ``.hip_fatbin`` as LLVM's documentation of the clang offload bundler has it: bundles at multiples of 4096,
each with the magic ``__CLANG_OFFLOAD_BUNDLE__``, the number of entries, and per entry the offset and size of its code,
the length of its identifier and the identifier (``hipv4-amdgcn-amd-amdhsa--gfx90a:xnack-``). A compressed bundle begins
with ``CCOB``; what it holds is read where it is compressed by zlib, and is not known where it is by zstd, which Python
has only from 3.14 on.
"""

from __future__ import annotations

import re
import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from verl_env.binaries.elf import ElfFile

    Read = Callable[[int, int], bytes]

MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
COMPRESSED = b"CCOB"
#: Bytes of a bundle before its entries, of an entry before its identifier, and the longest identifier that is one.
HEADER, ENTRY, LONGEST = len(MAGIC) + 8, 24, 128
#: More entries than any build has: what says so is no bundle.
ENTRIES = 256
#: Bytes of a compressed bundle's header by version; from the second on it states the size of all of it.
_COMPRESSED_HEADERS = {2: struct.Struct("<4sHHIIQ"), 3: struct.Struct("<4sHHQQQ")}
COMPRESSED_HEADER = max(form.size for form in _COMPRESSED_HEADERS.values())
_ZLIB = 0
_ALIGNMENT = 4096
#: Bundles that are looked at; each source of one build holds the same targets, save for special kernels.
_BUNDLES = 4096
#: The most that one compressed bundle is inflated to for its table of entries.
_TABLE = 64 * 1024
_TARGET = re.compile(rb"(?:hip|hipv4)-amdgcn-amd-amdhsa-(?:\w*)-(gfx[0-9a-z-]+)")


def targets(elf: ElfFile, read: Read) -> frozenset[str]:
    """The gfx targets of an open object, whose bytes ``read(place, size)`` gives; empty where none can be read.

    Raises:
        ElfError: it is damaged.
    """
    section = elf.section(".hip_fatbin")
    if section is None:
        return frozenset()
    try:
        return frozenset(_walk(read, *section))
    except (struct.error, OverflowError) as error:
        raise ElfError("is cut off") from error


def extent(head: bytes, table: Callable[[int], bytes]) -> int | None:
    """How many bytes a bundle has that begins with ``head``; None where it is none, or does not say.

    ``table(size)`` gives so many bytes from its beginning.
    """
    if head.startswith(COMPRESSED):
        return _compressed_size(head)
    found = list(_entries(head, table))
    return max((offset + size for offset, size, _ in found), default=None)


def _walk(read: Read, offset: int, size: int) -> Iterator[str]:
    """Hops from bundle to bundle; each begins at the next multiple of the alignment, counted from the first."""
    place, end = offset, offset + size
    for _ in range(_BUNDLES):
        if place + HEADER > end:
            return
        head = read(place, min(max(HEADER, COMPRESSED_HEADER), end - place))
        length = extent(head, partial(_upto, read, place, end))
        if length is None:
            return
        yield from _targets(read, place, head)
        place += max(_aligned(length), _ALIGNMENT)


def _targets(read: Read, place: int, head: bytes) -> Iterator[str]:
    if head.startswith(COMPRESSED):
        head, content = _inflated(read, place, head)
        found = _entries(head, lambda size: content[:size]) if content else ()
    else:
        found = _entries(head, lambda size: read(place, size))
    for _, _, identifier in found:
        if match := _TARGET.match(identifier):
            yield match[1].decode()


def _entries(head: bytes, table: Callable[[int], bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Offset, size and identifier of each entry of an uncompressed bundle."""
    if not head.startswith(MAGIC) or len(head) < HEADER:
        return
    (count,) = struct.unpack_from("<Q", head, len(MAGIC))
    if not 0 < count <= ENTRIES:
        return
    content, at = table(HEADER + count * (ENTRY + LONGEST)), HEADER
    for _ in range(count):
        if at + ENTRY > len(content):
            return
        offset, size, length = struct.unpack_from("<QQQ", content, at)
        if length > LONGEST:
            return
        yield offset, size, content[at + ENTRY : at + ENTRY + length]
        at += ENTRY + length


def _compressed_size(head: bytes) -> int | None:
    form = _COMPRESSED_HEADERS.get(int.from_bytes(head[4:6], "little"))
    if form is None or len(head) < form.size:
        return None
    total = form.unpack_from(head)[3]
    return int(total) if total > form.size else None


def _inflated(read: Read, place: int, head: bytes) -> tuple[bytes, bytes]:
    """The beginning of what a compressed bundle holds; nothing where it is not compressed by zlib."""
    version, method = struct.unpack_from("<HH", head, 4)
    form, total = _COMPRESSED_HEADERS[version], _compressed_size(head) or 0
    if method != _ZLIB:
        return b"", b""
    packed = read(place + form.size, min(total - form.size, _TABLE))
    try:
        content = zlib.decompressobj().decompress(packed, _TABLE)
    except zlib.error:
        return b"", b""
    return content[:HEADER], content


def _upto(read: Read, place: int, end: int, size: int) -> bytes:
    return read(place, min(size, end - place))


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
