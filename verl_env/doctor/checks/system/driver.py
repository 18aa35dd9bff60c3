"""The NVIDIA driver and the GPU of this node against what packages need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, reads
from verl_env.doctor.checks.system.rocm import on_rocm
from verl_env.doctor.model import Hit
from verl_env.versions import at_least, dotted

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

#: How libcuda writes a CUDA version: 1000 times the major and ten times the minor.
_COMPUTED = 1000


@finds("driver-too-old")
def _driver(facts: Facts) -> Hit | None:
    from verl_env.machine.tables import minor_version_drivers  # noqa: PLC0415  reads a file

    nvidia = facts.machine.nvidia
    if facts.driver is None and nvidia and nvidia.cuda and facts.cuda_major and not _compat(facts):
        runs = int(nvidia.cuda.split(".")[0])
        said = (f"the driver runs CUDA {nvidia.cuda} at most", f"torch is built for CUDA {facts.cuda}")
        return Hit(said) if runs < facts.cuda_major else None
    row = minor_version_drivers().get(facts.cuda_major or 0)
    if row is None or facts.driver is None or at_least(facts.driver, row.driver) or _compat(facts):
        return None
    evidence = (f"driver {facts.driver}", f"torch is built for CUDA {facts.cuda}", f"the least driver: {row.driver}")
    return Hit(evidence, f"driver {facts.driver} is too old for CUDA {facts.cuda}")


def _compat(facts: Facts) -> bool:
    """Whether a forward-compatibility libcuda may stand in for the driver's own."""
    return "compat" in (facts.variable("LD_LIBRARY_PATH") or "")


@reads("driver-too-old")
def _driver_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    found = match.groupdict().get("found")
    if found is None:
        return Hit(())
    cuda = f"{int(found) // _COMPUTED}.{int(found) % _COMPUTED // 10}"
    title = f"the driver runs CUDA {cuda} at most, torch wants {facts.cuda or 'a newer one'}"
    return Hit((), title)


@finds("driver-older-than-toolkit")
def _minor_driver(facts: Facts) -> Hit | None:
    """A driver that runs the CUDA major, but is older than the toolkit's own."""
    from verl_env.machine.tables import toolkits  # noqa: PLC0415  reads a file

    row = next((toolkit for toolkit in toolkits() if facts.cuda and toolkit.cuda.startswith(facts.cuda)), None)
    if row is None or not row.driver or facts.driver is None or at_least(facts.driver, str(row.driver)):
        return None
    if _driver(facts) is not None:
        return None
    return Hit((f"driver {facts.driver}", f"CUDA {facts.cuda} comes with driver {row.driver}"))


@finds("driver-symbol-missing")
def _driver_symbols(facts: Facts) -> Hit | None:
    """Functions of the driver that the installed libcuda.so.1 does not have."""
    from verl_env.binaries.symbols import DRIVER, undefined, unresolved  # noqa: PLC0415  needed on GPU nodes only

    target = facts.target
    if target is None:
        return None
    for shared in target.objects:
        if shared.elf is None or "libcuda.so.1" not in shared.elf.needed:
            continue
        found = target.loader.search("libcuda.so.1", shared.elf)
        if found is None:
            return None
        lost = unresolved(undefined(shared.path, DRIVER), found[:1], target.providers)
        others = [name for name in lost if not re.match(r"cu(?:blas|dnn|fft|rand|solver|sparse|pti|file|tensor)", name)]
        if others:
            line = f"{target.relative(shared.path)} needs {others[0]}, which {found[0]} does not have"
            return Hit((line, *((f"driver {facts.driver}",) if facts.driver else ())))
    return None


@finds("fabric-manager")
def _fabric(facts: Facts) -> Hit | None:
    host = facts.host
    if host.nvswitch is not True or host.processes is None or "nv-fabricmanage" in host.processes:
        return None
    if host.nodes is not None and "/dev/nvidia-nvswitchctl" not in host.nodes:
        return None
    return Hit(("an NVSwitch is on the PCI bus", "nv-fabricmanager is not among the processes"), severity="warning")


@finds("no-gpu-here")
def _no_gpu(facts: Facts) -> Hit | None:
    machine = facts.machine
    if machine.nvidia is not None or machine.amd is not None:
        return None
    return Hit(("no NVIDIA and no AMD GPU was found on this node",), severity="info")


@reads("no-gpu-here")
def _no_gpu_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    if "libcuda" in match[0] and on_rocm(facts, match.string):
        return None
    if facts.has_nvidia_gpu and "infer device" in match[0]:
        return Hit((), "the process saw no GPU, although this machine has one")
    return Hit((), "a process without a GPU imported what needs the driver")


@finds("nvcc-other-cuda")
def _nvcc(facts: Facts) -> Hit | None:
    toolchain = facts.machine.toolchain
    nvcc = toolchain.nvcc if toolchain else None
    if not nvcc or facts.cuda_major is None or dotted(nvcc.split("-")[0])[0] == facts.cuda_major:
        return None
    evidence = (f"nvcc {nvcc}", f"torch is built for CUDA {facts.cuda}")
    return Hit(evidence, severity="info")


@finds("nccl-cumem")
def _cumem(facts: Facts) -> Hit | None:
    value = facts.variable("NCCL_CUMEM_ENABLE")
    return Hit(("NCCL_CUMEM_ENABLE=1",), severity="warning") if value == "1" else None


@finds("nvls-without-imex")
def _imex(facts: Facts) -> Hit | None:
    host = facts.host
    if facts.machine.host.arch != "aarch64" or host.nodes is None or not facts.capabilities:
        return None
    if not at_least(facts.capabilities[-1], "10.0") or any("imex" in node for node in host.nodes):
        return None
    if facts.variable("NCCL_MNNVL_ENABLE") == "0" or facts.variable("NCCL_NVLS_ENABLE") == "0":
        return None
    return Hit(("/dev/nvidia-caps-imex-channels has no channel",), severity="warning")
