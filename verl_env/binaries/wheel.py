"""What a wheel holds that is compiled, read from the file itself: nothing is unpacked to disk, nothing is loaded."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from verl_env.binaries import hip
from verl_env.binaries.cubin import architectures
from verl_env.binaries.elf import ElfError, ElfFile, gnu_hash
from verl_env.binaries.symbols import CUDA, TORCH, cxx11abi
from verl_env.binaries.unpack import image_of
from verl_env.reading import open_regular
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zipfile import ZipInfo

    from verl_env.binaries.cubin import Architectures
    from verl_env.binaries.elf import ElfInfo

_SHARED = re.compile(r"\.so(?:\.\d+)*$")
_SUFFIX = re.compile(r"\.(?:cpython-(\d)(\d+)[a-z]*(?:-[\w-]+)?|(abi3))\.so$")
_PLACE = re.compile(r"^[^/]+\.data/(?:platlib|purelib)/")


class WheelError(ValueError):
    """A file that is no wheel, or a damaged one; ``args`` says which."""


@record
class WheelObject:
    """One shared object of a wheel.

    Attributes:
        path: Where it will lie, relative to site-packages.
        elf: Its dynamic facts.
        torch: Symbols of torch that it needs and no object of the wheel has, in the order of its table.
        cuda: The same for the libraries of CUDA and ROCm.
        module: Whether it is a Python extension module, by what it exports.
        gpus: The GPU architectures of NVIDIA it has code for; None where it has none that can be read.
        gfx: The targets of AMD that it has code for; empty where it has none that can be read.
    """

    path: str
    elf: ElfInfo
    torch: tuple[str, ...]
    cuda: tuple[str, ...]
    module: bool
    gpus: Architectures | None
    gfx: frozenset[str] = frozenset()

    @property
    def python(self) -> str | None:
        """The Python that its name is for, ``"3.10"``; ``"abi3"`` for the stable interface; None where it is open."""
        match = _SUFFIX.search(self.path)
        return match and (match[3] or f"{match[1]}.{match[2]}")

    @property
    def cxx11abi(self) -> bool | None:
        """The C++ ABI of libstdc++ that its symbols of torch are of; None where none of them tells."""
        return cxx11abi(self.torch)

    def needs(self, family: str) -> str | None:
        """The highest symbol version of a family, ``needs("GLIBC")`` gives ``"2.34"``; None where it needs none."""
        found = [name for _, names in self.elf.versions for name in names]
        numbers = [match[1] for name in found if (match := re.fullmatch(rf"{family}_(\d+(?:\.\d+)*)", name))]
        return max(numbers, key=lambda number: [int(part) for part in number.split(".")], default=None)


@record
class CompiledWheel:
    """The compiled content of a wheel; ``unreadable`` are objects that are damaged or of another kind, and why."""

    file: str
    objects: tuple[WheelObject, ...]
    unreadable: tuple[tuple[str, str], ...]


def read_wheel(path: str | Path) -> CompiledWheel:
    """The shared objects of a wheel.

    Raises:
        WheelError: it is no zip file, is cut off or damaged, or has no metadata of a wheel.
        OSError: it cannot be read.
    """
    with open_regular(path) as file, ExitStack() as stack:
        unreadable: dict[str, str] = {}
        objects: list[ElfFile] = []
        try:
            for member in _members(ZipFile(file)):
                place = _PLACE.sub("", member.filename)
                try:
                    image = image_of(file, member)
                    if image is not None:
                        objects.append(stack.enter_context(closing(ElfFile(place, image))))
                except ElfError as error:
                    unreadable[place] = str(error)
        # ZipFile words the damages that it finds as any of these.
        except (BadZipFile, NotImplementedError, ValueError, EOFError) as error:
            raise WheelError(str(error) or "it is damaged") from error
        found = [_described(elf, objects, unreadable) for elf in objects]
        return CompiledWheel(Path(path).name, tuple(filter(None, found)), tuple(unreadable.items()))


def _members(archive: ZipFile) -> Iterator[ZipInfo]:
    members = archive.infolist()
    if not any(member.filename.endswith(".dist-info/WHEEL") for member in members):
        raise WheelError("it holds no metadata of a wheel")
    return (member for member in members if _SHARED.search(member.filename))


def _described(elf: ElfFile, objects: Sequence[ElfFile], unreadable: dict[str, str]) -> WheelObject | None:
    try:
        needed = [name for name, weak in elf.undefined() if not weak]
        stem = elf.path.rpartition("/")[2].partition(".")[0]
        return WheelObject(
            path=elf.path,
            elf=elf.info(),
            torch=_foreign(needed, TORCH, objects),
            cuda=_foreign(needed, CUDA, objects),
            module=elf.defines(f"PyInit_{stem}".encode()),
            gpus=architectures(elf, elf.read),
            gfx=hip.targets(elf, elf.read),
        )
    except ElfError as error:
        unreadable[elf.path] = str(error)
        return None


def _foreign(names: Sequence[bytes], family: re.Pattern[bytes], objects: Sequence[ElfFile]) -> tuple[str, ...]:
    """The names of a family that no object of the wheel defines."""
    chosen = [(name, gnu_hash(name)) for name in names if family.match(name)]
    return tuple(
        name.decode("utf-8", "replace")
        for name, hashed in chosen
        if not any(_defines(elf, name, hashed) for elf in objects)
    )


def _defines(elf: ElfFile, name: bytes, hashed: int) -> bool:
    """A damaged object is reported by itself; to the others it offers nothing."""
    try:
        return elf.defines(name, hashed)
    except ElfError:
        return False
