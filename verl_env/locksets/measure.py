"""What an installed environment really needs of a machine, measured from its ELF files.

Platform tags of wheels promise too much: what counts is the newest symbol version that any library asks of glibc and
libstdc++, and the GPU architectures that its device code was compiled for. Maintainers install a lock, measure it,
and put the values into the recipe: ``verl-env lock --measure ENV``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.records import record
from verl_env.versions import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SYMBOL_VERSION = re.compile(r"(?P<library>GLIBC|GLIBCXX|CXXABI)_(?P<number>\d+(?:\.\d+)+)")
_ARCHITECTURE = re.compile(r"\bsm_(?P<number>\d+)(?P<variant>[a-z]?)\b")
_ELF = b"\x7fELF"


@record
class SymbolNeed:
    """The newest version of one library's symbols that a file asks for (``"2.28"``)."""

    library: str
    version: str
    file: str


@record
class DeviceCode:
    """The GPU architectures of one file: native code, architecture-specific code (``"9.0a"``) and PTX."""

    file: str
    targets: tuple[str, ...]
    specific: tuple[str, ...]
    ptx: tuple[str, ...]


@record
class Measurement:
    """Needs of an environment: the highest of each library, and every file with device code by path.

    ``unreadable`` are ELF files that could not be read: nothing is known of their needs.
    """

    symbols: tuple[SymbolNeed, ...]
    device_code: tuple[DeviceCode, ...]
    files: int
    unreadable: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The measurement as JSON values."""
        return {
            "files": self.files,
            "unreadable": list(self.unreadable),
            "symbols": {need.library: {"version": need.version, "file": need.file} for need in self.symbols},
            "device_code": [
                {
                    "file": code.file,
                    "targets": list(code.targets),
                    "specific": list(code.specific),
                    "ptx": list(code.ptx),
                }
                for code in self.device_code
            ],
        }


def measure(environment: Path) -> Measurement:
    """Measures every ELF file of an installed environment.

    Device code is read with ``cuobjdump``, which comes with CUDA and with Triton's wheel; where neither has it, no
    file is reported to have any.

    Args:
        environment: a virtual environment.
    """
    files = list(elf_files(environment))
    needs: dict[str, SymbolNeed] = {}
    device: list[DeviceCode] = []
    unreadable: list[str] = []
    tool = find_cuobjdump(environment)
    for file in files:
        name = str(file.relative_to(environment))
        try:
            found, has_device_code = _read_elf(file)
        except Exception:  # noqa: BLE001 whatever pyelftools makes of a damaged file, it is reported
            unreadable.append(name)
            continue
        for library, version in found.items():
            known = needs.get(library)
            if known is None or dotted(version) > dotted(known.version):
                needs[library] = SymbolNeed(library, version, name)
        if has_device_code and tool:
            device.append(device_code(tool, file, name))
    return Measurement(tuple(needs[library] for library in sorted(needs)), tuple(device), len(files), tuple(unreadable))


def elf_files(environment: Path) -> Iterator[Path]:
    """Every ELF file under a directory, by path; links are not followed."""
    for folder, folders, names in os.walk(environment):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_symlink() or not file.is_file():
                continue
            with file.open("rb") as stream:
                if stream.read(4) == _ELF:
                    yield file


def newest(versions: Iterable[str]) -> dict[str, str]:
    """The newest number per library among symbol versions such as ``GLIBC_2.17``; private ones are left out."""
    found: dict[str, str] = {}
    for version in versions:
        match = _SYMBOL_VERSION.fullmatch(version)
        if match and dotted(match["number"]) > dotted(found.get(match["library"], "0")):
            found[match["library"]] = match["number"]
    return found


def device_code(tool: str, file: Path, name: str) -> DeviceCode:
    """The architectures that cuobjdump lists for a file; ``name`` is how to call it in the result."""
    native = _architectures(tool, "--list-elf", file)
    return DeviceCode(
        file=name,
        targets=tuple(target for target in native if target[-1].isdigit()),
        specific=tuple(target for target in native if not target[-1].isdigit()),
        ptx=_architectures(tool, "--list-ptx", file),
    )


def find_cuobjdump(environment: Path) -> str | None:
    """The path of cuobjdump: from PATH, else the one that Triton brings into the environment."""
    inside = environment.glob("lib/python*/site-packages/triton/backends/nvidia/bin/cuobjdump")
    return shutil.which("cuobjdump") or next((str(file) for file in inside), None)


def _architectures(tool: str, option: str, file: Path) -> tuple[str, ...]:
    """Compute capabilities as NVIDIA writes them: ``sm_90a`` is ``9.0a``."""
    done = subprocess.run([tool, option, str(file)], capture_output=True, text=True, check=False)
    found = {(int(match["number"]), match["variant"]) for match in _ARCHITECTURE.finditer(done.stdout)}
    return tuple(f"{number // 10}.{number % 10}{variant}" for number, variant in sorted(found))


def _read_elf(file: Path) -> tuple[dict[str, str], bool]:
    """The newest symbol versions that a file asks for, and whether it holds device code."""
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 maintainers only
    from elftools.elf.gnuversions import GNUVerNeedSection  # noqa: PLC0415

    with file.open("rb") as stream:
        sections = list(ELFFile(stream).iter_sections())
        versions = {
            auxiliary.name
            for section in sections
            if isinstance(section, GNUVerNeedSection)
            for _, needed in section.iter_versions()
            for auxiliary in needed
        }
        names = {section.name for section in sections}
    return newest(versions), bool(names & {".nv_fatbin", "__nv_relfatbin", ".nvFatBinSegment"})
