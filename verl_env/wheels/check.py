"""Whether a compiled wheel can work in an environment, by what is in its objects and not by what its name says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Protocol

from verl_env.binaries.elf import MACHINES
from verl_env.binaries.symbols import other_abi, qualified_name
from verl_env.machine.gpu_code import Fit, cuda_code, gfx_code
from verl_env.records import record
from verl_env.versions import at_least

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.binaries.wheel import CompiledWheel, WheelObject

FaultId = Literal[
    "wheel-unreadable",
    "wrong-distribution",
    "wrong-version",
    "not-compiled",
    "object-damaged",
    "wrong-arch",
    "wrong-python",
    "wrong-torch-abi",
    "wrong-cuda-major",
    "glibc-too-old",
    "glibcxx-too-old",
    "no-gpu-code",
    "missing-library",
    "wrong-rocm-major",
]

#: Libraries whose SONAME carries the major release of CUDA; those of cuFFT, cuSPARSE and others count on their own.
_CUDA = re.compile(r"lib(?:cudart|cublas|cublasLt|nvrtc|nvJitLink|cupti)\.so\.(\d+)")
#: The library of HIP's run time, whose SONAME carries the major release of ROCm.
HIP = re.compile(r"libamdhip64\.so\.(\d+)")
_CAPABILITY = re.compile(r"\d+\.\d+")
#: What a driver or fabric brings to the nodes that have one; a login node where one installs may lack it.
_OF_THE_NODE = re.compile(
    r"lib(?:cuda|nvidia-[\w-]+|nvcuvid|nvoptix|mlx[45]|ibverbs|rdmacm|ibumad|efa|gdrapi|fabric"
    r"|hsa-runtime64|amdhip64|hip(?:rtc|blas|blaslt|fft|rand|solver|sparse|sparselt)|roc(?:blas|fft|rand|solver|sparse|tx64|tracer64)"
    r"|rccl|MIOpen|rocm_smi64|amd_smi|rocprofiler\S*|rocm-core)\.so"
)


@record
class Fault:
    """Why a wheel does not fit.

    Attributes:
        id: The kind.
        file: The object inside the wheel; the wheel itself where none is meant.
        subject: The symbol, SONAME, version or architecture that it is about.
        message: What it means, in one sentence.
    """

    id: FaultId
    file: str
    subject: str
    message: str


class WheelEnvironment(Protocol):
    """The environment a wheel is for, on its machine; what is None or empty is not known and refuses nothing.

    Attributes:
        python: ``"3.10"``.
        arch: As ``uname -m`` has it.
        glibc: ``"2.28"``.
        glibcxx: The newest ``GLIBCXX_`` version of the libstdc++ that would be loaded, ``"3.4.30"``.
        torch: The version of torch there.
        cuda: The CUDA release that torch is built for, ``"12.4"``.
        hip: The major release of HIP's run time that torch is built for, ``"6"`` of ``libamdhip64.so.6``.
        cxx11abi: The C++ ABI of torch.
        gpus: Compute capabilities or gfx targets of the machine's GPUs, ``("9.0",)``.
    """

    @property
    def python(self) -> str: ...
    @property
    def arch(self) -> str: ...
    @property
    def glibc(self) -> str | None: ...
    @property
    def glibcxx(self) -> str | None: ...
    @property
    def torch(self) -> str | None: ...
    @property
    def cuda(self) -> str | None: ...
    @property
    def hip(self) -> str | None: ...
    @property
    def cxx11abi(self) -> bool | None: ...
    @property
    def gpus(self) -> tuple[str, ...]: ...

    def defines(self, symbol: str) -> bool:
        """Whether the libraries of torch export a symbol."""

    def finds(self, soname: str, item: WheelObject) -> bool:
        """Whether a library would be found for an object of the wheel."""


def check_wheel(wheel: CompiledWheel, place: WheelEnvironment) -> tuple[Fault, ...]:
    """All that keeps a wheel from working in an environment; the gravest first. Empty where nothing is known to."""
    faults = [
        Fault("object-damaged", path, reason, f"{_name(path)} {reason}: the file is damaged")
        for path, reason in wheel.unreadable
    ]
    fitting = [item for item in wheel.objects if MACHINES.get(item.elf.machine, "") == place.arch]
    faults += [_wrong_arch(item, place.arch) for item in wheel.objects if item not in fitting]
    for check in (_pythons, _cuda_major, _hip_major, _torch, _glibc, _glibcxx, _gpus, _libraries):
        faults += check(fitting, place)
    return tuple(faults)


def _wrong_arch(item: WheelObject, arch: str) -> Fault:
    have = MACHINES.get(item.elf.machine, f"ELF machine {item.elf.machine}")
    return Fault("wrong-arch", item.path, have, f"{_name(item.path)} is compiled for {have}, and this is {arch}")


def _pythons(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    """A module for another Python is at fault unless the wheel has it for this one too."""
    suited = {_stem(item.path) for item in objects if item.python in {place.python, "abi3", None}}
    for item in objects:
        if item.python and _stem(item.path) not in suited:
            text = f"{_name(item.path)} is a module for Python {item.python}, and the environment has {place.python}"
            yield Fault("wrong-python", item.path, item.python, text)


def _cuda_major(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    for item in objects:
        other = next((soname for soname in item.elf.needed if _of_other_cuda(soname, place)), None)
        if other:
            text = f"{_name(item.path)} needs {other}, and torch here is built for CUDA {place.cuda}"
            yield Fault("wrong-cuda-major", item.path, other, text)


def _hip_major(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    for item in objects:
        found = (match for soname in item.elf.needed if (match := HIP.fullmatch(soname)))
        other = next((match for match in found if place.hip and match[1] != place.hip), None)
        if other:
            text = f"{_name(item.path)} needs {other[0]}, and ROCm of this environment has libamdhip64.so.{place.hip}"
            yield Fault("wrong-rocm-major", item.path, other[0], text)


def _of_other_cuda(soname: str, place: WheelEnvironment) -> bool:
    match = _CUDA.match(soname)
    return match is not None and place.cuda is not None and match[1] != place.cuda.partition(".")[0]


def _torch(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    if place.torch is None:
        return
    for item in objects:
        missing = [symbol for symbol in item.torch if not place.defines(symbol)]
        if missing:
            yield Fault("wrong-torch-abi", item.path, *_torch_words(item, missing, place))


def _torch_words(item: WheelObject, missing: list[str], place: WheelEnvironment) -> tuple[str, str]:
    """The symbol that says most, and what it means."""
    other = next((symbol for symbol in missing if place.defines(other_abi(symbol))), None)
    symbol = other or missing[0]
    differs = None not in {item.cxx11abi, place.cxx11abi} and item.cxx11abi != place.cxx11abi
    why = "it was compiled against another torch"
    if other or differs:
        have, want = ("new", "old") if item.cxx11abi else ("old", "new")
        why = f"it was compiled with the {have} C++ ABI of libstdc++, and this torch has the {want} one"
    name = qualified_name(symbol)
    shown = f"{name} ({symbol})" if name else symbol
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return symbol, f"{_name(item.path)} needs {shown}{more}, which torch {place.torch} does not have: {why}"


def _glibc(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    for item in objects:
        need = item.needs("GLIBC")
        if need and place.glibc and not at_least(place.glibc, need):
            text = f"{_name(item.path)} needs glibc {need}, and this machine has {place.glibc}"
            yield Fault("glibc-too-old", item.path, f"GLIBC_{need}", text)


def _glibcxx(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    for item in objects:
        need = item.needs("GLIBCXX")
        if need and place.glibcxx and not at_least(place.glibcxx, need):
            text = f"{_name(item.path)} needs GLIBCXX_{need}, and libstdc++ here ends at GLIBCXX_{place.glibcxx}"
            yield Fault("glibcxx-too-old", item.path, f"GLIBCXX_{need}", text)


def _gpus(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    """Objects of one wheel share the work (``_sm80``, ``_sm90``): one that runs on a GPU is enough."""
    code = [(item, item.gpus) for item in objects if item.gpus]
    for gpu in filter(_CAPABILITY.fullmatch, place.gpus if code else ()):
        if all(cuda_code(gpus.sass, gpus.ptx, gpu) is Fit.NONE for _, gpus in code):
            have = sorted({name for _, gpus in code for name in gpus.sass | gpus.ptx}, key=_number)
            text = f"{_name(code[0][0].path)} has GPU code for {', '.join(have)} and none that runs on {gpu}"
            yield Fault("no-gpu-code", code[0][0].path, gpu, text)
    yield from _gfx([item for item in objects if item.gfx], place)


def _gfx(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    for gpu in place.gpus if objects else ():
        if gpu.startswith("gfx") and not any(gfx_code(item.gfx, gpu) for item in objects):
            have = sorted(frozenset().union(*(item.gfx for item in objects)))
            text = f"{_name(objects[0].path)} has GPU code for {', '.join(have)} and none that runs on {gpu}"
            yield Fault("no-gpu-code", objects[0].path, gpu, text)


def _libraries(objects: list[WheelObject], place: WheelEnvironment) -> Iterator[Fault]:
    """A module that lacks a library may be an option of its package; a wheel whose every module does cannot work."""
    inside = {name: item for item in objects for name in (item.path.rpartition("/")[2], item.elf.soname) if name}
    lacking = [(item, _lacking(item, inside, place)) for item in objects if item.module]
    if all(found for _, found in lacking):
        for item, found in lacking:
            for soname in found:
                text = f"{_name(item.path)} needs {soname}, which is not in the environment or on the loader's path"
                yield Fault("missing-library", item.path, soname, text)


def _lacking(module: WheelObject, inside: dict[str, WheelObject], place: WheelEnvironment) -> list[str]:
    """Libraries that a module, or what it needs of its own wheel, would not find."""
    ahead, lacking, seen = [module], [], set()
    while ahead:
        item = ahead.pop()
        for soname in item.elf.needed:
            if soname in seen:
                continue
            seen.add(soname)
            if soname in inside:
                ahead.append(inside[soname])
            elif not (_OF_THE_NODE.match(soname) or _of_other_cuda(soname, place) or place.finds(soname, item)):
                lacking.append(soname)
    return lacking


def _stem(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _number(capability: str) -> list[int]:
    return [int(part) for part in capability.split(".")]
