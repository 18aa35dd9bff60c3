"""Which file the dynamic loader would take for each library that an object needs, in the order glibc searches.

The order (ld.so(8)): DT_RPATH of the object and of what loaded it, unless the object has DT_RUNPATH;
``LD_LIBRARY_PATH``; DT_RUNPATH of the object alone; ``/etc/ld.so.cache``; the default directories. A library that is
loaded already under the same SONAME wins over all of these.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.binaries.elf import EM_AARCH64, EM_X86_64, ElfError, read_elf
from verl_env.reading import read_bytes
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from verl_env.binaries.elf import ElfInfo

_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER, _CACHE_ENTRY = 48, 24
#: Flags of a cache entry for a 64-bit library (glibc, sysdeps/generic/ldconfig.h).
_CACHE_FLAGS = {EM_X86_64: 0x0303, EM_AARCH64: 0x0A03}
_DEFAULTS = {
    EM_X86_64: ("/lib64", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"),
    EM_AARCH64: ("/lib64", "/usr/lib64", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib", "/usr/lib"),
}


@record
class Loaded:
    """A library in a simulated process: its facts, and how it was found."""

    elf: ElfInfo
    by: str


@dataclass(slots=True)
class Closure:
    """What a process has loaded after some objects: SONAME to library, in load order, and what was not found."""

    loaded: dict[str, Loaded] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)

    def copy(self) -> Closure:
        """Another process in the same state."""
        return Closure(dict(self.loaded), list(self.missing))


class Loader:
    """A search order; remembers directories and files that it has read.

    Args:
        library_path: The directories of ``LD_LIBRARY_PATH``.
        cache: ``read_cache()`` of the host; SONAME to path.
        executable_rpath: DT_RPATH of the interpreter, which counts for everything it loads.
        machine: Machine number of the ELF header.
    """

    def __init__(
        self,
        *,
        library_path: Sequence[str] = (),
        cache: Mapping[str, str] | None = None,
        executable_rpath: Sequence[str] = (),
        machine: int = EM_X86_64,
        defaults: Sequence[str] | None = None,
    ) -> None:
        self.library_path = tuple(library_path)
        self._cache = cache or {}
        self._executable = tuple(executable_rpath)
        self.machine = machine
        self._defaults = tuple(_DEFAULTS.get(machine, ()) if defaults is None else defaults)
        self._names: dict[str, frozenset[str]] = {}
        self._read: dict[str, ElfInfo | None] = {}
        self._expanded: dict[tuple[tuple[str, ...], str], list[str]] = {}

    def search(self, soname: str, requester: ElfInfo, inherited: Sequence[str] = ()) -> tuple[str, str] | None:
        """The file for a needed library, and which rule found it (``"RPATH"``, ``"LD_LIBRARY_PATH"``, ...)."""
        if "/" in soname:
            return (soname, "path") if Path(soname).exists() else None
        own = (
            [] if requester.runpath else [*self._expand(requester.rpath, requester.path), *inherited, *self._executable]
        )
        for rule, directories in (
            ("RPATH", own),
            ("LD_LIBRARY_PATH", self.library_path),
            ("RUNPATH", self._expand(requester.runpath, requester.path)),
        ):
            found = self._in(directories, soname)
            if found:
                return found, rule
        if soname in self._cache:
            return self._cache[soname], "ld.so.cache"
        found = self._in(self._defaults, soname)
        return (found, "default directories") if found else None

    def load(self, path: str, into: Closure) -> Closure:
        """Loads an object and everything it needs, breadth first, into a simulated process."""
        root = self.read(path)
        if root is None:
            return into
        into.loaded.setdefault(root.soname or os.path.basename(path), Loaded(root, "named"))  # noqa: PTH119
        ahead: list[tuple[ElfInfo, tuple[str, ...]]] = [(root, ())]
        while ahead:
            elf, inherited = ahead.pop(0)
            passed = inherited if elf.runpath else (*self._expand(elf.rpath, elf.path), *inherited)
            for soname in elf.needed:
                if soname in into.loaded:
                    continue
                found = self.search(soname, elf, inherited)
                library = self.read(found[0]) if found else None
                if found is None or library is None:
                    into.missing.append((soname, elf.path))
                    continue
                into.loaded[soname] = Loaded(library, found[1])
                if library.soname:
                    into.loaded.setdefault(library.soname, into.loaded[soname])
                ahead.append((library, passed))
        return into

    def read(self, path: str) -> ElfInfo | None:
        """The dynamic facts of a file, read once; None where it is no object or cannot be read."""
        if path not in self._read:
            try:
                self._read[path] = read_elf(path)
            except (ElfError, OSError):
                self._read[path] = None
        return self._read[path]

    def _expand(self, paths: tuple[str, ...], origin: str) -> list[str]:
        """``expand``, once for each object."""
        if (found := self._expanded.get((paths, origin))) is None:
            found = self._expanded[paths, origin] = expand(paths, origin)
        return found

    def _in(self, directories: Iterable[str], soname: str) -> str | None:
        """The first directory that holds a loadable file of this name; glibc passes over other machines' files."""
        for directory in directories:
            if soname in self._listing(directory):
                path = os.path.join(directory, soname)  # noqa: PTH118  a hot loop
                elf = self.read(path)
                if elf is not None and elf.machine == self.machine:
                    return path
        return None

    def _listing(self, directory: str) -> frozenset[str]:
        if directory not in self._names:
            try:
                self._names[directory] = frozenset(os.listdir(directory))  # noqa: PTH208
            except OSError:
                self._names[directory] = frozenset()
        return self._names[directory]


def expand(paths: Sequence[str], origin: str) -> list[str]:
    """Search directories with ``$ORIGIN`` replaced by the directory of the object."""
    base = os.path.dirname(os.path.realpath(origin))  # noqa: PTH120
    return [os.path.normpath(path.replace("${ORIGIN}", base).replace("$ORIGIN", base)) for path in paths]


def split_library_path(value: str | None) -> tuple[str, ...]:
    """The directories of ``LD_LIBRARY_PATH``; an empty entry is the working directory and is left out."""
    return tuple(part for part in (value or "").replace(";", ":").split(":") if part)


def read_cache(path: str | Path = "/etc/ld.so.cache", machine: int = EM_X86_64) -> dict[str, str]:
    """The libraries of the loader's cache for one machine; empty where it is missing or of another form."""
    try:
        data = read_bytes(path)
    except OSError:
        return {}
    start = data.find(_CACHE_MAGIC)
    if start < 0 or len(data) < start + _CACHE_HEADER:
        return {}
    count = struct.unpack_from("<I", data, start + len(_CACHE_MAGIC))[0]
    found: dict[str, str] = {}
    for place in range(start + _CACHE_HEADER, start + _CACHE_HEADER + count * _CACHE_ENTRY, _CACHE_ENTRY):
        if place + _CACHE_ENTRY > len(data):
            break
        flags, key, value = struct.unpack_from("<III", data, place)
        if flags & 0xFFFF == _CACHE_FLAGS.get(machine):
            found.setdefault(_text(data, start + key), _text(data, start + value))
    return found


def _text(data: bytes, start: int) -> str:
    return data[start : data.find(b"\0", start)].decode("utf-8", "replace")
