"""The last look at a wheel of a native component, before an installer puts it into an environment."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfError, read_elf
from verl_env.binaries.loader import Loader, expand, read_cache, split_library_path
from verl_env.binaries.symbols import Providers
from verl_env.binaries.wheel import WheelError, read_wheel
from verl_env.records import replace
from verl_env.wheels.check import HIP, Fault, check_wheel
from verl_env.wheels.errors import NativeMismatchError
from verl_env.wheels.identity import identity_faults, is_compiled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.binaries.elf import ElfInfo
    from verl_env.binaries.wheel import WheelObject
    from verl_env.choose.model import Build

#: What libc10 exports under one of two names: the constructor of ``c10::Error`` from a ``std::string``.
_ERROR_NEW = "_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
_ERROR_OLD = "_ZN3c105ErrorC2ENS_14SourceLocationESs"
#: Where wheels keep libraries that their packages load, beside those of torch.
_LIBRARIES = ("torch/lib/*.so*", "nvidia/*/lib/*.so*", "*.libs/*.so*")
#: Releases of ROCm whose libamdhip64 carries their own number.
_NUMBERED = frozenset({"5", "6", "7"})
_VERSION = re.compile(r"^(__version__|cuda)\b[^=\n]*=\s*'([\w.+-]+)'", re.MULTILINE)
_GLIBCXX = re.compile(r"GLIBCXX_(\d+(?:\.\d+)+)")


def validate_wheel(wheel: Path, build: Build, place: Site) -> None:
    """Reads a wheel and judges it against its component and the environment that it is about to be installed into.

    Args:
        wheel: The file, downloaded or built.
        build: The component, and the way that gave the file.
        place: The environment as it is now, with torch of the lock in it.

    Raises:
        NativeMismatchError: it is another distribution or version; it cannot work there; nothing in it is compiled
            though the component is; or it is no wheel, or is damaged.
        OSError: the file cannot be read.
    """
    faults = identity_faults(wheel, build) or _content_faults(wheel, build, place)
    if faults:
        raise NativeMismatchError(build.name, build.version, wheel.name, faults)


class Site:
    """An environment as a wheel meets it (``wheel_check.Place``); close it, or use it in a ``with`` block.

    Args:
        site: Its site-packages directory; what is in it is looked at now.
        python: ``"3.10"``.
        arch: As ``uname -m`` has it.
        glibc: Of the machine; None where it is not known.
        cuda: The CUDA release of the lock, where there is no torch to say it.
        rocm: The ROCm release of the lock, where there is no torch that says which it is built for.
        gpus: Compute capabilities or gfx targets of the machine's GPUs, ``("9.0",)``; empty where they are not known.
        environment: The variables that programs will run with; those of this process where none are given.
    """

    def __init__(  # noqa: PLR0913  (what is known of the machine, each by its name)
        self,
        site: Path,
        python: str,
        arch: str,
        *,
        glibc: str | None = None,
        cuda: str | None = None,
        rocm: str | None = None,
        gpus: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._site = site
        self.python = python
        self.arch = arch
        self.glibc = glibc
        self.gpus = gpus
        said = _torch_version(site)
        self.torch = said.get("__version__")
        self.cuda = said.get("cuda") or (None if self.torch else cuda)
        self.hip = _hip(site / "torch" / "lib", rocm)
        self._providers = Providers()
        self._torch_libraries = tuple(sorted(str(path) for path in (site / "torch" / "lib").glob("*.so*")))
        self._sonames = frozenset(path.name for pattern in _LIBRARIES for path in site.glob(pattern))
        self._interpreter = _interpreter(site)
        self._loader = _loader(self._interpreter, os.environ if environment is None else environment)
        self.glibcxx = self._libstdcxx()
        self.cxx11abi = self._abi()

    def __enter__(self) -> Site:  # noqa: PYI034  (typing.Self came with 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the libraries that were looked into."""
        self._providers.close()

    def defines(self, symbol: str) -> bool:
        """Whether a library of torch exports a symbol."""
        return self._providers.defines(symbol.encode(), self._torch_libraries)

    def finds(self, soname: str, item: WheelObject) -> bool:
        """Whether a library is in the environment, where torch has loaded it by then, or on the loader's path."""
        elf = replace(item.elf, path=str(self._site / item.path))
        return soname in self._sonames or self._loader.search(soname, elf) is not None

    def _abi(self) -> bool | None:
        if self.defines(_ERROR_NEW):
            return True
        return False if self.defines(_ERROR_OLD) else None

    def _libstdcxx(self) -> str | None:
        """The newest version of the libstdc++ that this interpreter would load."""
        found = self._loader.search("libstdc++.so.6", self._interpreter) if self._interpreter else None
        library = self._loader.read(found[0]) if found else None
        versions = [match[1] for name in (library.defines if library else ()) if (match := _GLIBCXX.fullmatch(name))]
        return max(versions, key=lambda version: [int(part) for part in version.split(".")], default=None)


def _content_faults(wheel: Path, build: Build, place: Site) -> tuple[Fault, ...]:
    try:
        content = read_wheel(wheel)
    except WheelError as error:
        return (Fault("wheel-unreadable", wheel.name, str(error), f"the file is no whole wheel ({error})"),)
    if is_compiled(build) and not (content.objects or content.unreadable):
        text = f"nothing in it is compiled, and {build.name} is: it was built without its extensions"
        return (Fault("not-compiled", wheel.name, build.name, text),)
    return check_wheel(content, place)


def _hip(libraries: Path, rocm: str | None) -> str | None:
    """The major release of HIP that torch needs; where it needs none by number, that of the ROCm of the lock.

    Libraries of ROCm 5, 6 and 7 have its number; later ones need not.
    """
    with suppress(ElfError, OSError):
        found = (HIP.fullmatch(soname) for soname in read_elf(libraries / "libtorch_hip.so").needed)
        if number := next((match[1] for match in found if match), None):
            return number
    major = (rocm or "").partition(".")[0]
    return major if major in _NUMBERED else None


def _torch_version(site: Path) -> dict[str, str]:
    try:
        text = (site / "torch" / "version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return dict(_VERSION.findall(text))


def _interpreter(site: Path) -> ElfInfo | None:
    try:
        return read_elf((site.parents[2] / "bin" / "python").resolve())
    except (ElfError, OSError, IndexError):
        return None


def _loader(interpreter: ElfInfo | None, environment: Mapping[str, str]) -> Loader:
    own = expand(interpreter.rpath, interpreter.path) if interpreter and not interpreter.runpath else []
    path = split_library_path(environment.get("LD_LIBRARY_PATH"))
    if interpreter is None:
        return Loader(library_path=path, cache=read_cache(), executable_rpath=own)
    cache = read_cache(machine=interpreter.machine)
    return Loader(library_path=path, cache=cache, executable_rpath=own, machine=interpreter.machine)
