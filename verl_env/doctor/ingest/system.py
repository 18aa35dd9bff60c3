"""The machine from pasted text: collect_env of torch and vLLM, nvidia-smi, nvcc, ldd, os-release, rocminfo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.literals import may_match
from verl_env.machine.errors import GpuUnknownError
from verl_env.machine.gpu_names import find_gpu
from verl_env.machine.model import UNKNOWN, Amd, AmdDevice, Host, Machine, Nvidia, NvidiaDevice, Toolchain
from verl_env.machine.tables import glibc_of_distro
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.machine.model import Known
    from verl_env.machine.tables import GpuName

_DRIVER = (
    r"Nvidia driver version:\s*(\d+[\d.]+)",
    r"Driver Version:\s*(\d{3}[\d.]+)",
    r"(?im)^(?:nvidia )?driver(?: version)?\s*[:=]\s*(?:nvidia\s+)?v?(\d{3}(?:\.\d+)*)\b",
    r"NVRM version:.*?(?:Kernel Module|Module for \S+)\s+(\d{3}\.[\d.]+)",
    r"(?i)\bdriver(?: version)?(?:\s*[:=]\s*|\s+)v?(\d{3}\.\d+(?:\.\d+)?)\b",
    r"(?i)\bdrivers?(?: version)? \(v?([3-9]\d\d(?:\.\d+)*)\)",
)
_DRIVER_CUDA = (r"CUDA(?: UMD)? Version:\s*(\d+\.\d+)",)
_GLIBC = (r"Libc version:\s*glibc-(\d+\.\d+)", r"ldd \(.*?\)\s*(\d+\.\d+)", r"(?i)\bglibc(?:\s*[:=]?\s*|-)(\d\.\d+)\b")
_NVCC = (r"Cuda compilation tools, release [\d.]+, V(\d+\.\d+)", r"CUDA runtime version:\s*(\d+\.\d+)")
_PYTHON = (
    r"Python version:\s*(3\.\d+(?:\.\d+)?)",
    r"^[ \t]*(?:-[ \t]*)?\**Python\**(?: version)?\**\s*[:=]?\s*\**v?(3\.\d+(?:\.\d+)?)",
    r"/lib/python(3\.\d+)/",
    r"\bPython (3\.\d+(?:\.\d+)?)\b",
    r"(?i)\bpython[ =]=?(3\.\d+(?:\.\d+)?)\b",
)
_TORCH_BUILD = (r"CUDA used to build PyTorch:\s*(\d+\.\d+)", r"(?m)^PyTorch version:\s*\S*\+cu(\d{3})\b")
_TORCH_ROCM = (r"ROCM used to build PyTorch\s*:\s*(\d+\.\d+)", r"(?m)^ROCM Version\s*:\s*(\d+\.\d+)")
_ROCM = (r"(?i)\brocm[ -]?(?:version)?[:= ]*v?(\d\.\d+(?:\.\d+)?)\b",)
_OS = (r"^\W*OS\W*[:=]\s*(.+)$", r'PRETTY_NAME="([^"]+)"')
_SYSTEMS = (
    ("ubuntu", "ubuntu"),
    ("debian", "debian"),
    ("rocky", "rocky"),
    ("alma", "almalinux"),
    ("red hat", "rhel"),
    ("centos", "centos"),
)
_GCC = (r"GCC version:\s*\([^)]*\)\s*(\d+\.\d+\.\d+)", r"\bgcc \([^)]*\)\s*(\d+\.\d+\.\d+)")
_GPU_ROWS = (
    re.compile(r"^[ \t]*GPU (?P<index>\d+):\s*(?P<name>[A-Z][^\n(]*?)\s*(?:\(UUID.*\))?$", re.MULTILINE),
    # verl's diagnose.py, and flashinfer's report
    re.compile(r"^[ \t]*GPU (?P<index>\d+)\s+Type\s*:\s*(?P<name>[A-Z][^\n(]*?)\s*$", re.MULTILINE),
    re.compile(r"^[ \t]*GPU (?P<index>\d+)\s*\([^)\n]*\)\s*:\s*(?P<name>[A-Z][^\n(|]*?)\s*(?:\||$)", re.MULTILINE),
    re.compile(r"^\|\s+(?P<index>\d+)\s+(?P<name>[A-Z][\w./ -]+?)\s{2,}(?:On|Off|N/A|Persi)", re.MULTILINE),
    re.compile(
        r"^\|\s+(?P<index>\d+)\s+(?P<name>(?:NVIDIA|Tesla|GeForce|Quadro)[\w./ -]*?)\s+(?:On|Off)\b", re.MULTILINE
    ),
)
#: SGLang's check_env groups equal GPUs: ``GPU 0,1,2,3: NVIDIA H200``.
_GPU_GROUP = re.compile(r"^[ \t]*GPU (?P<indices>\d+(?:,\d+)*):\s*(?P<name>[A-Z][^\n(]*?)\s*$", re.MULTILINE)
_GPU_PROSE = re.compile(
    r"(?i)(?<![\w-])(?:\d{1,4}\s{0,4}[x*]\s{0,4}|[x*]\d{1,4}\s{0,4})?(?:nvidia[ -]|geforce[ -]|tesla[ -]){0,4}"
    r"(?P<name>rtx (?:pro )?\d{4}(?: ?ti)?|h100|h200|h800|h20|b200|gb200|gh200|a100|a800|a40|a10g?|l40s?|l20|l4|v100|t4"
    r"|b300|gb300|gh200|h20|rtx a\d{4}|rtx \d{4} ada|t4|p100|mi2\d\dx?|mi3\d\dx?|gb10)(?![\w])"
)
_CAPABILITY = re.compile(r"(?i)(?:compute capability|cuda capability|capability)\D{0,12}(\d{1,2}\.\d)\b")
#: ``SM 120 (12, 0)``, ``GPU: ... (SM121)``, ``compute capability 121``: two or three digits, the last one is the minor.
_SM = re.compile(
    r"(?i)(?:compute capability\W{1,4}(?:sm[ _]?)?|\(sm[ _]?|^gpu[^\n]{0,60}\bsm[ _]?)(\d{2,3})a?\b", re.MULTILINE
)
_GFX = re.compile(r"\bgfx(?:9(?:06|08|0a|42|50)|1[012]\d\d)\b")
_AMD_NAME = re.compile(r"(?i)\bMI(?:2\d\d|3\d\d)[XA]?\b")


@record
class System:
    """What a text says of the machine, of Python, and of the CUDA or ROCm that torch is built for."""

    machine: Machine
    python: Known[str]
    torch_flavour: Known[str]


def read_system(text: str) -> System:
    """The machine that a cleaned text describes; what it does not say stays unknown."""
    return System(
        Machine(host=_host(text), nvidia=_nvidia(text) or UNKNOWN, amd=_amd(text) or UNKNOWN, toolchain=_tools(text)),
        _first(text, _PYTHON) or UNKNOWN,
        _flavour(text) or UNKNOWN,
    )


def _first(text: str, patterns: tuple[str, ...]) -> str | None:
    for pattern in (one for one in patterns if may_match(one, text)):
        match = re.search(pattern, text, re.MULTILINE)
        if match:
            return match[1].strip().rstrip(".")
    return None


def _host(text: str) -> Host:
    name = _first(text, _OS)
    arch = next((arch for arch in ("aarch64", "x86_64") if re.search(rf"\b{arch}\b", text)), None)
    system, version = _distribution(name or "")
    return Host(
        os=system or UNKNOWN,
        os_version=version or UNKNOWN,
        arch=arch or UNKNOWN,
        glibc=_first(text, _GLIBC) or _glibc_of(system, version) or UNKNOWN,
        wsl=True if re.search(r"(?i)microsoft-standard|\bWSL2?\b", text) else UNKNOWN,
    )


def _distribution(name: str) -> tuple[str | None, str | None]:
    """ID and VERSION_ID of os-release for a distribution as collect_env or prose names it."""
    lower = name.lower()
    system = next((known for words, known in _SYSTEMS if words in lower), None)
    version = re.search(r"\d+(?:\.\d+)?", lower)
    return system, version[0] if system and version else None


def _glibc_of(system: str | None, version: str | None) -> Known[str]:
    """The glibc of a release of a distribution, where the table has it."""
    return glibc_of_distro(system, version) if system and version else UNKNOWN


def _nvidia(text: str) -> Nvidia | None:
    devices = tuple(_devices(text))
    driver, cuda = _first(text, _DRIVER), _first(text, _DRIVER_CUDA)
    if not devices and driver is None and cuda is None:
        return None
    return Nvidia(driver=driver or UNKNOWN, cuda=cuda or UNKNOWN, devices=devices)


def _devices(text: str) -> Iterator[NvidiaDevice]:
    """Devices of nvidia-smi and collect_env by index; else the one model that prose names, else a bare capability."""
    names: dict[int, str] = {}
    for match in _GPU_GROUP.finditer(text):
        names.update(dict.fromkeys(map(int, match["indices"].split(",")), match["name"].strip()))
    for pattern in _GPU_ROWS:
        for match in pattern.finditer(text):
            names.setdefault(int(match["index"]), match["name"].strip())
    if not names:
        spoken = {
            match["name"].lower() for match in _GPU_PROSE.finditer(text) if not match["name"].lower().startswith("mi")
        }
        names = {0: spoken.pop()} if len(spoken) == 1 else {}
    stated = {match[1] for match in _CAPABILITY.finditer(text)}
    for index, name in sorted(names.items()):
        yield NvidiaDevice(index, name=name, compute_capability=capability_of(name) or UNKNOWN)
    stated = stated or {f"{match[1][:-1]}.{match[1][-1]}" for match in _SM.finditer(text)}
    if not names and len(stated) == 1:
        yield NvidiaDevice(0, compute_capability=stated.pop())


def capability_of(name: str) -> str | None:
    """The compute capability of a GPU by the name that a tool prints; None for one that no table has."""
    words = name.replace("...", "").split()
    known = (_gpu(" ".join(words[:length])) for length in range(len(words), 0, -1))
    return next((gpu.compute_capability for gpu in known if gpu), None)


def _amd(text: str) -> Amd | None:
    found = [AmdDevice(place, gfx=gfx) for place, gfx in enumerate(dict.fromkeys(_GFX.findall(text)))]
    if not found:
        for name in dict.fromkeys(match[0].upper() for match in _AMD_NAME.finditer(text)):
            found.append(AmdDevice(len(found), name=name, gfx=target_of(name) or UNKNOWN))
    rocm = _first(text, _ROCM)
    return Amd(rocm=rocm or UNKNOWN, devices=tuple(found)) if found else None


def target_of(name: str) -> str | None:
    """The AMD target of a GPU by its name; None for one that no table has."""
    words = name.split()
    known = (_gpu(" ".join(words[start:])) for start in range(len(words)))
    return next((gpu.gfx for gpu in known if gpu and gpu.gfx), None)


def _gpu(name: str) -> GpuName | None:
    try:
        return find_gpu(name)
    except GpuUnknownError:
        return None


def _tools(text: str) -> Known[Toolchain]:
    nvcc, gcc = _first(text, _NVCC), _first(text, _GCC)
    home = re.search(r"^[ \t]*(?:export )?CUDA_HOME(?:=|: )(\S+)", text, re.MULTILINE)
    if nvcc is None and gcc is None and home is None:
        return UNKNOWN
    return Toolchain(nvcc=nvcc or UNKNOWN, gcc=gcc or UNKNOWN, cuda_home=home[1].strip("\"'") if home else UNKNOWN)


def _flavour(text: str) -> str | None:
    rocm = _first(text, _TORCH_ROCM)
    if rocm:
        return f"rocm{rocm}"
    cuda = _first(text, _TORCH_BUILD)
    if cuda and cuda.isdigit():
        return f"{int(cuda[:2])}.{cuda[2]}"
    return cuda
