"""A shared object out of a wheel, as an image in memory that leaves out what GPU code weighs.

A member of a zip file is one deflate stream: what is wanted of an object (its dynamic segment, its section headers)
lies behind hundreds of megabytes of GPU code, so that all of it must be inflated. It need not be kept: the image is
anonymous memory of the object's size, into which the payload of fat binary entries (see ``cubin`` and ``hip``) is not
written.
No page is spent on it, and every offset in the image is the object's own.

ISA-L inflates such members at more than twice the speed of zlib (``docs/performance.md``).
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile
from zlib import MAX_WBITS

from isal import isal_zlib

from verl_env.binaries import hip
from verl_env.binaries.cubin import ENTRY, HEADER, MAGIC, PTX, SASS
from verl_env.binaries.elf import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO
    from zipfile import ZipInfo

#: Bytes that one object may have; those of x86-64 with the usual code model end at 2 GiB.
LARGEST = 4 << 30
#: Bytes beside GPU code that are kept of one object; torch's largest library has 442 MB.
LARGEST_KEPT = 1 << 30
#: What is read at once: what it inflates to stays in the processor's cache, and in memory that malloc keeps.
_CHUNK = 32 * 1024
_PIECE = 1 << 20
_LOCAL_HEADER = 30
_MAGIC = struct.pack("<I", MAGIC)
_STARTS = (_MAGIC, hip.MAGIC, hip.COMPRESSED)
#: Where bundles of HIP begin: at multiples of a page.
_PAGE = 4096
#: What is kept of a bundle beside its table of entries: the beginning of a compressed one holds that table.
_HEAD = 64 * 1024
#: Version and header size of every record seen so far.
_RECORD = (1, HEADER)


def image_of(file: BinaryIO, member: ZipInfo) -> mmap.mmap | None:
    """The image of an object; None where the member is no ELF object, which its first bytes tell.

    Args:
        file: The wheel, open for reading.
        member: The object, as the directory of the wheel has it.

    Raises:
        BadZipFile: the wheel is damaged there, or uses a compression that wheels do not.
        ElfError: the object is larger than objects are.
        OSError: the wheel cannot be read.
    """
    stream = _Stream(_content(file, member))
    if stream.peek(4) != b"\x7fELF":
        return None
    if not 0 < member.file_size <= LARGEST:
        raise ElfError(f"says that it has {member.file_size} bytes")
    image = mmap.mmap(-1, member.file_size)
    try:
        _fill(image, stream)
    except (BadZipFile, ElfError):
        image.close()
        raise
    return image


def _fill(image: mmap.mmap, stream: _Stream) -> None:
    """Copies all but the payload of fat binary entries."""
    kept = 0
    longest = max(map(len, _STARTS))
    while stream.peek(longest):
        found = stream.find(_STARTS)
        if found is None:
            kept += stream.copy(image, max(stream.ahead - longest + 1, 1))
        else:
            kept += stream.copy(image, found)
            kept += _record(image, stream) if stream.peek(len(_MAGIC)) == _MAGIC else _bundle(image, stream)
        if kept > LARGEST_KEPT:
            raise ElfError(f"has more than {LARGEST_KEPT} bytes beside GPU code")
    if stream.position != len(image):
        raise BadZipFile("a member ends before its size")


def _record(image: mmap.mmap, stream: _Stream) -> int:
    """Copies what stands where a record may begin, but for the payload of its entries."""
    head = stream.peek(HEADER)
    if len(head) < HEADER:
        return stream.copy(image, len(head))
    _, *form, length = struct.unpack("<IHHQ", head)
    if tuple(form) != _RECORD or stream.position % 8:
        return stream.copy(image, len(_MAGIC))
    kept = stream.copy(image, HEADER)
    end = stream.position + length
    while stream.position + ENTRY <= end:
        head = stream.peek(ENTRY)
        if len(head) < ENTRY:
            break
        kind, _, header, size = struct.unpack_from("<HHIQ", head)
        if kind not in {PTX, SASS} or not ENTRY <= header <= end - stream.position:
            break
        kept += stream.copy(image, header)
        stream.skip(min(size, end - stream.position))
    return kept


def _bundle(image: mmap.mmap, stream: _Stream) -> int:
    """Copies what stands where a bundle of HIP may begin, but for the code of its entries."""
    head = stream.peek(max(hip.HEADER, hip.COMPRESSED_HEADER))
    size = None if stream.position % _PAGE else hip.extent(head, stream.peek)
    if size is None or size > len(image) - stream.position:
        return stream.copy(image, 1)
    kept = stream.copy(image, min(size, _HEAD))
    stream.skip(size - min(size, _HEAD))
    return kept


class _Stream:
    """What comes out of a member, with a look ahead."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._at = 0
        #: How many bytes were copied or skipped.
        self.position = 0

    @property
    def ahead(self) -> int:
        """How many bytes are buffered."""
        return len(self._buffer) - self._at

    def find(self, patterns: Iterable[bytes]) -> int | None:
        """How far ahead the first of some patterns is in what is buffered."""
        found = (self._buffer.find(pattern, self._at) for pattern in patterns)
        return min((place - self._at for place in found if place >= 0), default=None)

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer only at the end."""
        while self.ahead < size:
            more = next(self._chunks, b"")
            if not more:
                break
            self._buffer, self._at = self._buffer[self._at :] + more, 0
        return self._buffer[self._at : self._at + size]

    def copy(self, image: mmap.mmap, size: int) -> int:
        """Moves on by ``size`` bytes and writes them into the image; says how many were written."""
        return self._move(size, image)

    def skip(self, size: int) -> None:
        """Moves on by ``size`` bytes."""
        self._move(size, None)

    def _move(self, size: int, image: mmap.mmap | None) -> int:
        written = 0
        while size:
            part = min(size, self.ahead, _PIECE)
            if not part:
                self._buffer, self._at = next(self._chunks, b""), 0
                if not self._buffer:
                    break
                continue
            if image is not None:
                content = self._buffer[self._at : self._at + part]
                if self.position + part > len(image):
                    raise BadZipFile("a member is longer than its size")
                if content[0] or content.strip(b"\0"):
                    image[self.position : self.position + part] = content
                    written += part
            self._at += part
            self.position += part
            size -= part
        return written


def _content(file: BinaryIO, member: ZipInfo) -> Iterator[bytes]:
    """The bytes of a member, inflated."""
    if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED} or member.flag_bits & 1:
        raise BadZipFile("a member is compressed in another way than wheels are, or encrypted")
    try:
        file.seek(member.header_offset)
    except (OSError, OverflowError, ValueError) as error:  # before the file, or beyond what an offset can be
        raise BadZipFile("a member is not where the directory says") from error
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise BadZipFile("a member is not where the directory says")
    file.seek(sum(struct.unpack_from("<HH", header, 26)), 1)
    packed = _packed(file, member.compress_size)
    return packed if member.compress_type == ZIP_STORED else _inflated(packed)


def _packed(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            raise BadZipFile("it is cut off")
        size -= len(chunk)
        yield chunk


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    inflater = isal_zlib.decompressobj(-MAX_WBITS)
    try:
        for chunk in packed:
            content = inflater.decompress(chunk)
            if content:
                yield content
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # its declaration says that it is an instance
        raise BadZipFile(f"a member is damaged ({error})") from error
