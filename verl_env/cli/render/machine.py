"""A machine as text: one line per fact, with where it was read."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.problems import REMEDIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from rich.console import Console

    from verl_env.machine.model import Amd, AmdDevice, Fact, Machine, Nvidia, NvidiaDevice

    #: What a line is called, what it says, and the dotted fact whose source it shows.
    Row: TypeAlias = tuple[str, str, str]

_GIB = 1 << 30
_TOOLS = ("nvcc", "cuda_home", "gcc", "gxx", "hipcc", "cmake", "ninja")


def render_machine(console: Console, machine: Machine) -> None:
    """Prints every fact with its source, then what is wrong."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    for name, value, fact in _rows(machine):
        table.add_row(Text(name, "bold"), Text(value), Text(machine.sources.get(fact, ""), "dim"))
    console.print(table)
    for problem in machine.problems:
        console.print(f"[bold yellow]problem[/]\\[{problem.id}]: ", end="")
        console.print(problem.message, markup=False)
        if problem.id in REMEDIES:
            console.print(f"  hint: {REMEDIES[problem.id]}", markup=False)


def _rows(machine: Machine) -> Iterator[Row]:
    yield from _host(machine)
    yield from _nvidia(machine.nvidia)
    yield from _amd(machine.amd)
    yield from _toolchain(machine)
    yield from _pythons(machine)


def _host(machine: Machine) -> Iterator[Row]:
    host = machine.host
    yield "system", f"{_said(host.os)} {_said(host.os_version)}", "host.os"
    yield "kernel", _said(host.kernel), "host.kernel"
    yield "architecture", _said(host.arch), "host.arch"
    libc = "musl" if isinstance(host.musl, str) else "glibc"
    yield libc, _said(getattr(host, libc)), f"host.{libc}"
    yield "processors", _said(host.cpus), "host.cpus"
    yield "memory", _size(host.memory_bytes), "host.memory_bytes"
    if host.wsl is True:
        yield "WSL", "yes", "host.wsl"
    for name, fact in (("container", host.container), ("Jetson", host.jetson)):
        if isinstance(fact, str):
            yield name, fact, f"host.{name.lower()}"


def _nvidia(nvidia: Fact[Nvidia]) -> Iterator[Row]:
    if nvidia is None or nvidia is UNKNOWN:
        yield "NVIDIA", _said(nvidia), "nvidia"
        return
    yield "NVIDIA driver", _said(nvidia.driver), "nvidia.driver"
    yield "CUDA of it", _said(nvidia.cuda), "nvidia.cuda"
    for text, places in groupby(nvidia.devices, key=_nvidia_device):
        devices = list(places)
        yield _numbered(devices[0].index, devices[-1].index), text, "nvidia.devices"


def _nvidia_device(device: NvidiaDevice) -> str:
    capability = f"compute capability {_said(device.compute_capability)}"
    return ", ".join(
        [_said(device.name), capability, _size(device.memory_bytes), *(["MIG"] if device.mig is True else [])]
    )


def _amd(amd: Fact[Amd]) -> Iterator[Row]:
    if amd is None or amd is UNKNOWN:
        yield "AMD", _said(amd), "amd"
        return
    yield "amdgpu driver", _said(amd.driver), "amd.driver"
    yield "ROCm", _said(amd.rocm), "amd.rocm"
    for text, places in groupby(amd.devices, key=_amd_device):
        devices = list(places)
        yield _numbered(devices[0].index, devices[-1].index), text, "amd.devices"


def _amd_device(device: AmdDevice) -> str:
    return ", ".join([_said(device.name), _said(device.gfx), _size(device.memory_bytes)])


def _toolchain(machine: Machine) -> Iterator[Row]:
    if machine.toolchain is UNKNOWN:
        return
    for name in _TOOLS:
        version = getattr(machine.toolchain, name)
        if isinstance(version, str):
            yield {"cuda_home": "CUDA_HOME", "gxx": "g++"}.get(name, name), version, f"toolchain.{name}"


def _pythons(machine: Machine) -> Iterator[Row]:
    if machine.pythons is UNKNOWN:
        return
    for place, python in enumerate(machine.pythons):
        yield f"Python {python.version}", python.path, f"pythons[{place}]"
    if not machine.pythons:
        yield "Python", "none from 3.9 to 3.14", "pythons"


def _numbered(first: int, last: int) -> str:
    return f"GPU {first}" if first == last else f"GPU {first}-{last}"


def _said(fact: object) -> str:
    if fact is None:
        return "none"
    return "not known" if fact is UNKNOWN else str(fact)


def _size(fact: Fact[int]) -> str:
    return f"{fact / _GIB:.0f} GiB" if isinstance(fact, int) else _said(fact)
