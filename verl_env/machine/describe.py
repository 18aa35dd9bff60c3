"""A machine described by flags: another host's GPUs and drivers over the facts of this one."""

from __future__ import annotations

from verl_env.machine.errors import MachineFlagConflictError, MachineFlagError, MachineFlagWithoutGpuError
from verl_env.machine.gpu_names import parse_gpu
from verl_env.machine.model import UNKNOWN, Amd, AmdDevice, Machine, Nvidia, NvidiaDevice
from verl_env.machine.tables import cuda_of_driver
from verl_env.records import replace
from verl_env.versions import is_dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from verl_env.machine.tables import GpuName

FLAG = "flag"
NO_GPU = "none"

_ARCHS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_GPU_FACTS = ("nvidia", "amd")
_GPU_PROBLEMS = ("nvidia-", "amd-", "rocm-", "driver-")
_TOOLS = "toolchain."
_TOOL_PROBLEMS = {"cuda-home-missing", "tool-failed", "tool-timeout"}
_MIB = 1 << 20
_LONGEST = 32


def describe(
    base: Machine,
    *,
    gpus: Sequence[str] = (),
    driver: str | None = None,
    rocm: str | None = None,
    glibc: str | None = None,
    arch: str | None = None,
) -> Machine:
    """A machine with the GPUs and versions that the flags name, and everything else as in ``base``.

    Naming GPUs replaces the whole GPU side: a driver of this host says nothing about another. Without ``gpus`` the
    GPUs of ``base`` stay, and only the versions given are replaced. A GPU that comes with one CPU architecture only
    (GH200, GB200, GB300, GB10, Jetson) sets it. Of its compilers nothing is known (``with_tools_of`` gives it those of
    a host that builds for it), unless nothing but ``none`` is said of it.

    Args:
        base: The facts to start from, those of this host.
        gpus: ``NAME``, ``NAME:COUNT``, ``sm_90`` or ``gfx942``, or the single ``none``.
        driver: The NVIDIA driver, or the amdgpu driver of a machine without an NVIDIA GPU.
        rocm: The ROCm user space.
        glibc: The C library.
        arch: ``x86_64`` or ``aarch64``.

    Raises:
        GpuUnknownError: a GPU is not known by its name.
        GpuCountError: a count is not a whole number from 1 to 1024.
        MachineFlagError: a version is not a dotted number, or the architecture is another.
        MachineFlagWithoutGpuError: a driver or ROCm for a machine without such a GPU.
        MachineFlagConflictError: the GPU named does not come with the architecture given.
    """
    _check_dotted("--driver", driver, "550.54.15")
    _check_dotted("--rocm", rocm, "6.3.4")
    _check_dotted("--glibc", glibc, "2.28")
    wanted = [] if [name.strip().lower() for name in gpus] == [NO_GPU] else [parse_gpu(name) for name in gpus]
    machine = _with_gpus(base, wanted) if gpus else base
    if driver is not None:
        machine = _with_driver(machine, driver)
    if rocm is not None:
        machine = _with_rocm(machine, rocm)
    if glibc is not None:
        machine = _sourced(machine, {"host.glibc": FLAG}, host=replace(machine.host, glibc=glibc, musl=None))
    machine = _with_arch(machine, arch, [gpu for gpu, _ in wanted])
    same_host = not wanted and driver is rocm is glibc is arch is None
    return machine if same_host else _without_toolchain(machine)


def with_tools_of(machine: Machine, builder: Machine) -> Machine:
    """The machine with the compilers of the host that builds for it; unknown where that has another architecture."""
    if machine.host.arch != builder.host.arch:
        return machine
    sources = {fact: source for fact, source in builder.sources.items() if fact.startswith(_TOOLS)}
    problems = tuple(problem for problem in builder.problems if problem.id in _TOOL_PROBLEMS)
    return replace(
        _without_toolchain(machine),
        toolchain=builder.toolchain,
        sources={**machine.sources, **sources},
        problems=(*machine.problems, *problems),
    )


def _check_dotted(flag: str, value: str | None, example: str) -> None:
    if value is not None and not (len(value) <= _LONGEST and is_dotted(value)):
        raise MachineFlagError(flag, value, f"a dotted number such as {example}", example)


def _sourced(machine: Machine, sources: Mapping[str, str], **facts: Any) -> Machine:
    """The machine with some facts replaced and their sources noted."""
    return replace(machine, sources={**machine.sources, **sources}, **facts)


def _with_gpus(machine: Machine, wanted: Sequence[tuple[GpuName, int]]) -> Machine:
    """The machine with these GPUs alone; what was known of its own is forgotten."""
    each = [gpu for gpu, count in wanted for _ in range(count)]
    nvidia = tuple(_nvidia_device(index, gpu) for index, gpu in enumerate(gpu for gpu in each if gpu.gfx is None))
    amd = tuple(_amd_device(index, gpu) for index, gpu in enumerate(gpu for gpu in each if gpu.gfx is not None))
    bare = replace(
        machine,
        nvidia=Nvidia(devices=nvidia) if nvidia else None,
        amd=Amd(devices=amd) if amd else None,
        sources={fact: source for fact, source in machine.sources.items() if fact.split(".")[0] not in _GPU_FACTS},
        problems=tuple(problem for problem in machine.problems if not problem.id.startswith(_GPU_PROBLEMS)),
    )
    return _sourced(bare, {"nvidia.devices" if nvidia else "nvidia": FLAG, "amd.devices" if amd else "amd": FLAG})


def _without_toolchain(machine: Machine) -> Machine:
    sources = {fact: source for fact, source in machine.sources.items() if not fact.startswith(_TOOLS)}
    problems = tuple(problem for problem in machine.problems if problem.id not in _TOOL_PROBLEMS)
    return replace(machine, toolchain=UNKNOWN, sources=sources, problems=problems)


def _nvidia_device(index: int, gpu: GpuName) -> NvidiaDevice:
    return NvidiaDevice(
        index=index,
        name=gpu.product or UNKNOWN,
        compute_capability=gpu.compute_capability,
        memory_bytes=gpu.memory_mib if gpu.memory_mib is UNKNOWN else gpu.memory_mib * _MIB,
        mig=False,
    )


def _amd_device(index: int, gpu: GpuName) -> AmdDevice:
    return AmdDevice(
        index=index,
        name=gpu.product or UNKNOWN,
        gfx=gpu.gfx,
        memory_bytes=gpu.memory_mib if gpu.memory_mib is UNKNOWN else gpu.memory_mib * _MIB,
    )


def _with_driver(machine: Machine, driver: str) -> Machine:
    if isinstance(machine.nvidia, Nvidia):
        nvidia = replace(machine.nvidia, driver=driver, cuda=cuda_of_driver(driver))
        sources = {"nvidia.driver": FLAG, "nvidia.cuda": f"implied by driver {driver}"}
        return _sourced(machine, sources, nvidia=nvidia)
    if isinstance(machine.amd, Amd):
        return _sourced(machine, {"amd.driver": FLAG}, amd=replace(machine.amd, driver=driver))
    raise MachineFlagWithoutGpuError("--driver", driver, "GPU", "h100")


def _with_rocm(machine: Machine, rocm: str) -> Machine:
    if not isinstance(machine.amd, Amd):
        raise MachineFlagWithoutGpuError("--rocm", rocm, "AMD GPU", "mi300x")
    return _sourced(machine, {"amd.rocm": FLAG}, amd=replace(machine.amd, rocm=rocm))


def _with_arch(machine: Machine, arch: str | None, gpus: Sequence[GpuName]) -> Machine:
    """The machine with the architecture given, or the one that its GPUs imply."""
    given = _ARCHS.get(arch.lower()) if arch is not None else None
    if arch is not None and given is None:
        raise MachineFlagError("--arch", arch, "x86_64 or aarch64", "x86_64")
    bound = next((gpu for gpu in gpus if gpu.arch is not None), None)
    if given is not None:
        if bound is not None and bound.arch is not None and bound.arch != given:
            raise MachineFlagConflictError(given, bound.name, bound.arch)
        return _sourced(machine, {"host.arch": FLAG}, host=replace(machine.host, arch=given))
    if bound is None or bound.arch is None:
        return machine
    return _sourced(machine, {"host.arch": f"implied by {bound.name}"}, host=replace(machine.host, arch=bound.arch))
