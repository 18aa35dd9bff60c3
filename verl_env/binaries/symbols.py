"""Undefined symbols of an object against the libraries that would be loaded with it."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfError, ElfFile, gnu_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Symbols in the namespaces of PyTorch: ``c10::``, ``at::``, ``torch::``, ``caffe2::``, their tables, and its C API.
TORCH = re.compile(rb"_Z(?:T[VISTC])?N?[VKRO]*(?:3c10|2at|5torch|6caffe2)|aoti_torch_|torch_|THP[A-Z]")
#: Symbols of CUDA libraries, by the prefixes of their C interfaces; the driver's own ``cu*`` are not among them.
CUDA = re.compile(
    rb"nccl[A-Z]|cudnn[A-Z]|cublas[A-Z]|cusparse[A-Z]|cusolver[A-Z]|cufft[A-Z]|curand[A-Z]|_{0,4}nvJitLink|nvrtc[A-Z]"
    rb"|cuda[A-Z]|__cuda[A-Z]|cupti[A-Z]|nvshmem|hip[A-Z]|rccl[A-Z]|miopen[A-Z]"
)
#: The driver's interface, which only libcuda.so.1 has.
DRIVER = re.compile(rb"cu[A-Z][a-zA-Z0-9_]+\0")
#: ``std::string`` in a symbol: as libstdc++ has named it since GCC 5, and before.
_NEW_STRING, _OLD_STRING = "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", "Ss"
_NEW_ABI = re.compile(r"St7__cxx11|B5cxx11")
_OLD_ABI = re.compile(r"[A-Z_]Ss")
_NESTED = re.compile(r"_Z(?:T[VISTC])?N[VKRO]*")


def cxx11abi(symbols: Iterable[str]) -> bool | None:
    """The C++ ABI of libstdc++ that symbols are of: new (True), old (False), or None where no name tells."""
    names = tuple(symbols)
    if any(map(_NEW_ABI.search, names)):
        return True
    return False if any(map(_OLD_ABI.search, names)) else None


def other_abi(symbol: str) -> str:
    """A symbol as the other C++ ABI names it; exact where ``std::string`` is not followed by a back reference."""
    if _NEW_STRING in symbol:
        return symbol.replace(_NEW_STRING, _OLD_STRING)
    return symbol.replace(_OLD_STRING, _NEW_STRING)


def qualified_name(symbol: str) -> str | None:
    """The name in a mangled symbol without its parameters, ``"c10::cuda::SetDevice"``; None where it is not plain."""
    start = _NESTED.match(symbol)
    at, parts = (start.end() if start else len(symbol)), []
    while length := re.match(r"\d+", symbol[at:]):
        at += len(length[0])
        parts.append(symbol[at : at + int(length[0])])
        at += int(length[0])
    if parts and re.match(r"[CD]\d", symbol[at:]):
        parts.append(f"{'~' if symbol[at] == 'D' else ''}{parts[-1]}")
    return "::".join(parts) if len(parts) > 1 else None


class Providers:
    """Libraries that are open for look-ups; close it, or use it in a ``with`` block."""

    def __init__(self) -> None:
        self._open: dict[str, ElfFile | None] = {}
        self._stack = ExitStack()
        self._hashes: dict[bytes, int] = {}

    def __enter__(self) -> Providers:  # noqa: PYI034  (typing.Self came with 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every library."""
        self._stack.close()
        self._open.clear()

    def defines(self, symbol: bytes, libraries: Iterable[str]) -> bool:
        """Whether one of these files exports a symbol."""
        hashed = self._hashes.get(symbol)
        if hashed is None:
            hashed = self._hashes[symbol] = gnu_hash(symbol)
        return any(elf.defines(symbol, hashed) for elf in map(self._file, libraries) if elf is not None)

    def _file(self, path: str) -> ElfFile | None:
        if path not in self._open:
            try:
                self._open[path] = self._stack.enter_context(ElfFile(path))
            except (ElfError, OSError):
                self._open[path] = None
        return self._open[path]


def undefined(path: str, family: re.Pattern[bytes]) -> list[bytes]:
    """The symbols of a family that an object must find elsewhere; weak ones may be missing and are left out.

    Raises:
        ElfError: the file is no object or is cut off.
        OSError: it cannot be read.
    """
    with ElfFile(path) as elf:
        return [name for name, weak in elf.undefined(family) if not weak]


def unresolved(names: Iterable[bytes], libraries: Iterable[str], providers: Providers) -> list[str]:
    """The symbols of some, as ``undefined`` gives them, that no library defines, in their order.

    Raises:
        ElfError: a library is cut off.
    """
    known = tuple(dict.fromkeys(libraries))
    return [name.decode("utf-8", "replace") for name in names if not providers.defines(name, known)]
