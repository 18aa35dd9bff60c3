"""Shared objects read from their dynamic segment, without loading them.

Only what the dynamic loader itself uses is read: program headers, ``.dynamic``, the dynamic symbol table through
its GNU hash table, and the version tables (System V gABI; Drepper, "How To Write Shared Libraries", 2011; the GNU
hash section as glibc's ``elf/dl-lookup.c`` walks it). A file is mapped, read and closed again; an image in memory
serves as well.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

from verl_env.reading import open_regular
from verl_env.records import record

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 4, 5, 6, 14, 15, 29
_DT_GNU_HASH, _DT_VERDEF, _DT_VERDEFNUM = 0x6FFFFEF5, 0x6FFFFFFC, 0x6FFFFFFD
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_WEAK = 2
_CUT = "is cut off"
_SYMBOL = 24

EM_X86_64, EM_AARCH64 = 62, 183
#: Machine numbers of the ELF header by the names of ``uname -m``.
MACHINES = {EM_X86_64: "x86_64", EM_AARCH64: "aarch64"}


class ElfError(ValueError):
    """A file that is no 64-bit little-endian ELF object, or that is cut off; ``args`` says which."""


@record
class ElfInfo:
    """The dynamic facts of one object.

    ``versions`` holds, for each library that is needed in certain versions, their names
    (``("libc.so.6", ("GLIBC_2.34",))``); ``defines`` the version names that it offers itself.
    """

    path: str
    machine: int
    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    versions: tuple[tuple[str, tuple[str, ...]], ...]
    defines: tuple[str, ...]


def read_elf(path: str | Path) -> ElfInfo:
    """The dynamic facts of a shared object or executable.

    Raises:
        ElfError: it is no ELF object that this machine family could load, or it is truncated.
        OSError: it cannot be read.
    """
    with ElfFile(path) as elf:
        return elf.info()


class ElfFile:
    """An object that is open for questions; close it, or use it in a ``with`` block.

    Args:
        path: The file; with an image, only its name.
        image: The content, where it is in memory; ``close`` closes it.

    Raises:
        ElfError: the file is no ELF object of this kind, or it is truncated.
        OSError: it cannot be read.
    """

    def __init__(self, path: str | Path, image: mmap.mmap | None = None) -> None:
        self.path = str(path)
        self._data = _map(path) if image is None else image
        self._exports: frozenset[bytes] | None = None
        try:
            with _reading():
                self._read_headers()
        except ElfError:
            self.close()
            raise

    def __enter__(self) -> ElfFile:  # noqa: PYI034  (typing.Self came with 3.11)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmaps the file."""
        self._data.close()

    def read(self, place: int, size: int) -> bytes:
        """Bytes at an offset, fewer at the end."""
        return self._data[place : place + size]

    def info(self) -> ElfInfo:
        """All dynamic facts at once."""
        with _reading():
            return ElfInfo(
                path=self.path,
                machine=self.machine,
                soname=next(iter(self._texts(_DT_SONAME)), None),
                needed=self._texts(_DT_NEEDED),
                rpath=_paths(self._texts(_DT_RPATH)),
                runpath=_paths(self._texts(_DT_RUNPATH)),
                versions=tuple(self._needed_versions()),
                defines=tuple(self._defined_versions()),
            )

    def undefined(self, family: re.Pattern[bytes] | None = None) -> Iterator[tuple[bytes, bool]]:
        """Every symbol that another object must define, and whether it may be missing (weak).

        With ``family`` only those that begin as it says; it sees the name with the NUL that ends it, and what follows.

        Raises:
            ElfError: the object is damaged.
        """
        if not self._symtab:
            return
        with _reading():
            for name, info, section in self._symbols():
                if section == 0 and name and (family is None or family.match(self._data, self._strtab + name)):
                    yield self._bytes(name), info >> 4 == _WEAK

    def defines(self, name: bytes, hashed: int | None = None) -> bool:
        """Whether it exports a symbol; ``hashed`` is ``gnu_hash(name)`` where that is known already.

        Raises:
            ElfError: the object is damaged.
        """
        try:
            return self._defines(name, gnu_hash(name) if hashed is None else hashed)
        except (struct.error, OverflowError) as error:
            raise ElfError(_CUT) from error

    def section(self, wanted: str) -> tuple[int, int] | None:
        """Offset and size in bytes of a section; None where there is none.

        Raises:
            ElfError: the object is damaged.
        """
        with _reading():
            return self._section(wanted.encode() + b"\0")

    def _defines(self, name: bytes, hashed: int) -> bool:
        if not self._gnu_hash:
            if self._exports is None:
                self._exports = self._plain_exports()
            return name in self._exports
        data, base = self._data, self._gnu_hash
        word = struct.unpack_from("<Q", data, base + 16 + 8 * ((hashed >> 6) % self._bloom))[0]
        if not (word >> (hashed & 63)) & (word >> ((hashed >> self._bloom_shift) & 63)) & 1:
            return False
        buckets = base + 16 + 8 * self._bloom
        index = struct.unpack_from("<I", data, buckets + 4 * (hashed % self._buckets))[0]
        return index != 0 and self._in_chain(name, hashed, index, buckets + 4 * self._buckets)

    def _section(self, target: bytes) -> tuple[int, int] | None:
        data = self._data
        table = struct.unpack_from("<Q", data, 40)[0]
        entry, count, names_index = struct.unpack_from("<HHH", data, 58)
        if not table or table + entry * count > len(data):
            return None
        names = struct.unpack_from("<Q", data, table + entry * names_index + 24)[0]
        for place in range(table, table + entry * count, max(entry, 1)):
            start = names + struct.unpack_from("<I", data, place)[0]
            if data[start : start + len(target)] == target:
                offset, size = struct.unpack_from("<QQ", data, place + 24)
                return offset, size
        return None

    def _read_headers(self) -> None:
        data = self._data
        if data[:4] != b"\x7fELF":
            raise ElfError("is no ELF file")
        if data[4:6] != b"\x02\x01":
            raise ElfError("is no 64-bit little-endian object")
        self.machine = struct.unpack_from("<H", data, 18)[0]
        offset, size, count = struct.unpack_from("<Q14xHH", data, 32)
        self._loads: list[tuple[int, int, int]] = []
        dynamic = (0, 0)
        for place in range(offset, offset + size * count, max(size, 1)):
            kind, _, start, address, _, length = struct.unpack_from("<IIQQQQ", data, place)
            if kind == _PT_LOAD:
                self._loads.append((address, start, length))
            elif kind == _PT_DYNAMIC:
                dynamic = (start, length)
        if any(start + length > len(data) for _, start, length in self._loads):
            raise ElfError(_CUT)
        self._read_dynamic(*dynamic)

    def _read_dynamic(self, offset: int, length: int) -> None:
        self._tags: dict[int, list[int]] = {}
        for place in range(offset, offset + length, 16):
            tag, value = struct.unpack_from("<qQ", self._data, place)
            if tag == 0:
                break
            self._tags.setdefault(tag, []).append(value)
        self._strtab, self._symtab = self._place(_DT_STRTAB), self._place(_DT_SYMTAB)
        self._gnu_hash, self._hash = self._place(_DT_GNU_HASH), self._place(_DT_HASH)
        self._first_defined = 0
        if self._gnu_hash:
            header = struct.unpack_from("<IIII", self._data, self._gnu_hash)
            self._buckets, self._first_defined, self._bloom, self._bloom_shift = header
            if not self._buckets or not self._bloom:
                raise ElfError("has an empty hash table")
        elif self._hash:
            self._first_defined = struct.unpack_from("<II", self._data, self._hash)[1]

    def _place(self, tag: int) -> int:
        """The file offset of what a tag points to; 0 where the tag is missing."""
        return self._offset(self._tags[tag][0]) if tag in self._tags else 0

    def _offset(self, address: int) -> int:
        for start, offset, length in self._loads:
            if start <= address < start + length:
                return address - start + offset
        raise ElfError("points outside of itself")

    def _bytes(self, index: int) -> bytes:
        start = self._strtab + index
        end = self._data.find(b"\0", start)
        if end < 0:
            raise ElfError(_CUT)
        return self._data[start:end]

    def _string(self, index: int) -> str:
        return self._bytes(index).decode("utf-8", "replace")

    def _texts(self, tag: int) -> tuple[str, ...]:
        return tuple(self._string(value) for value in self._tags.get(tag, ()))

    def _needed_versions(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The chain of Verneed records, each with its chain of Vernaux records."""
        place = self._place(_DT_VERNEED)
        for _ in range(self._tags.get(_DT_VERNEEDNUM, [0])[0] if place else 0):
            _, count, file, aux, following = struct.unpack_from("<HHIII", self._data, place)
            names, at = [], place + aux
            for _ in range(count):
                name, step = struct.unpack_from("<8xII", self._data, at)
                names.append(self._string(name))
                at += step
                if not step:
                    break
            yield self._string(file), tuple(names)
            place += following
            if not following:
                break

    def _defined_versions(self) -> Iterator[str]:
        place = self._place(_DT_VERDEF)
        for _ in range(self._tags.get(_DT_VERDEFNUM, [0])[0] if place else 0):
            aux, following = struct.unpack_from("<12xII", self._data, place)
            yield self._string(struct.unpack_from("<I", self._data, place + aux)[0])
            place += following
            if not following:
                break

    def _in_chain(self, name: bytes, hashed: int, index: int, chains: int) -> bool:
        data = self._data
        while True:
            value = struct.unpack_from("<I", data, chains + 4 * (index - self._first_defined))[0]
            if value | 1 == hashed | 1:
                start = self._strtab + struct.unpack_from("<I", data, self._symtab + index * _SYMBOL)[0]
                if data[start : start + len(name) + 1] == name + b"\0":
                    return True
            if value & 1:
                return False
            index += 1

    def _plain_exports(self) -> frozenset[bytes]:
        """The exports of an object that has only the old hash table, or none."""
        return frozenset(self._bytes(name) for name, _, section in self._symbols() if section)

    def _symbols(self) -> Iterator[tuple[int, int, int]]:
        """Name, kind and section of each symbol before the first that the GNU hash table lists, or of all."""
        start, end = self._symtab + _SYMBOL, self._symtab + self._first_defined * _SYMBOL
        if end > len(self._data):
            raise ElfError(_CUT)
        return struct.iter_unpack("<IBxH16x", self._data[start : max(start, end)])


def gnu_hash(name: bytes) -> int:
    """The hash of a symbol name in a GNU hash table (Bernstein's, 32 bits)."""
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _map(path: str | Path) -> mmap.mmap:
    with open_regular(path) as file:
        try:
            return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except ValueError as error:
            raise ElfError("is empty") from error


@contextmanager
def _reading() -> Iterator[None]:
    """Words what a damaged object does to its reader: offsets beyond its end, or beyond what an offset can be."""
    try:
        yield
    except (struct.error, OverflowError) as error:
        raise ElfError(_CUT) from error


def _paths(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for text in texts for part in text.split(":") if part)
