"""The NVIDIA driver and the GPU of this node against what packages need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.rocm import on_rocm
from verl_env.doctor.model import Check, Hit, Remedy
from verl_env.versions import at_least, dotted

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

#: How libcuda writes a CUDA version: 1000 times the major and ten times the minor.
_COMPUTED = 1000
_DRIVER_CALLS = (
    "TensorMap|Module|Mem|Device|Ctx|Launch|Func|Stream|Get|Multicast|Graph|Event|Library|Kernel|Init|Driver"
)


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


def _driver_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    found = match.groupdict().get("found")
    if found is None:
        return Hit(())
    cuda = f"{int(found) // _COMPUTED}.{int(found) % _COMPUTED // 10}"
    title = f"the driver runs CUDA {cuda} at most, torch wants {facts.cuda or 'a newer one'}"
    return Hit((), title)


def _older_driver(facts: Facts) -> Remedy:
    text = "Take a build for a CUDA that this driver runs, or have it updated (cuda-compat: data-centre GPUs only)."
    return Remedy(text, (f"verl-env plan --stack vllm --driver {facts.driver or 'VERSION'} --explain",))


def _minor_driver(facts: Facts) -> Hit | None:
    """A driver that runs the CUDA major, but is older than the toolkit's own."""
    from verl_env.machine.tables import toolkits  # noqa: PLC0415  reads a file

    row = next((toolkit for toolkit in toolkits() if facts.cuda and toolkit.cuda.startswith(facts.cuda)), None)
    if row is None or not row.driver or facts.driver is None or at_least(facts.driver, str(row.driver)):
        return None
    if _driver(facts) is not None:
        return None
    return Hit((f"driver {facts.driver}", f"CUDA {facts.cuda} comes with driver {row.driver}"))


def _driver_symbols(facts: Facts) -> Hit | None:
    """Functions of the driver that the installed libcuda.so.1 does not have."""
    from verl_env.binaries.symbols import DRIVER, unresolved  # noqa: PLC0415  needed on GPU nodes only

    target = facts.target
    if target is None:
        return None
    for shared in target.objects:
        if shared.elf is None or "libcuda.so.1" not in shared.elf.needed:
            continue
        found = target.loader.search("libcuda.so.1", shared.elf)
        if found is None:
            return None
        lost = unresolved(shared.path, DRIVER, [found[0]], target.providers)
        others = [name for name in lost if not re.match(r"cu(?:blas|dnn|fft|rand|solver|sparse|pti|file|tensor)", name)]
        if others:
            line = f"{target.relative(shared.path)} needs {others[0]}, which {found[0]} does not have"
            return Hit((line, *((f"driver {facts.driver}",) if facts.driver else ())))
    return None


def _fabric(facts: Facts) -> Hit | None:
    host = facts.host
    if host.nvswitch is not True or host.processes is None or "nv-fabricmanage" in host.processes:
        return None
    if host.nodes is not None and "/dev/nvidia-nvswitchctl" not in host.nodes:
        return None
    return Hit(("an NVSwitch is on the PCI bus", "nv-fabricmanager is not among the processes"), severity="warning")


def _no_gpu(facts: Facts) -> Hit | None:
    machine = facts.machine
    if machine.nvidia is not None or machine.amd is not None:
        return None
    return Hit(("no NVIDIA and no AMD GPU was found on this node",), severity="info")


def _no_gpu_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    if "libcuda" in match[0] and on_rocm(facts, match.string):
        return None
    if facts.has_nvidia_gpu and "infer device" in match[0]:
        return Hit((), "the process saw no GPU, although this machine has one")
    return Hit((), "a process without a GPU imported what needs the driver")


def _nvcc(facts: Facts) -> Hit | None:
    toolchain = facts.machine.toolchain
    nvcc = toolchain.nvcc if toolchain else None
    if not nvcc or facts.cuda_major is None or dotted(nvcc.split("-")[0])[0] == facts.cuda_major:
        return None
    evidence = (f"nvcc {nvcc}", f"torch is built for CUDA {facts.cuda}")
    return Hit(evidence, severity="info")


def _cumem(facts: Facts) -> Hit | None:
    value = facts.variable("NCCL_CUMEM_ENABLE")
    return Hit(("NCCL_CUMEM_ENABLE=1",), severity="warning") if value == "1" else None


def _imex(facts: Facts) -> Hit | None:
    host = facts.host
    if facts.machine.host.arch != "aarch64" or host.nodes is None or not facts.capabilities:
        return None
    if not at_least(facts.capabilities[-1], "10.0") or any("imex" in node for node in host.nodes):
        return None
    if facts.variable("NCCL_MNNVL_ENABLE") == "0" or facts.variable("NCCL_NVLS_ENABLE") == "0":
        return None
    return Hit(("/dev/nvidia-caps-imex-channels has no channel",), severity="warning")


CHECKS = (
    Check(
        id="driver-too-old",
        theme="cuda",
        severity="error",
        title="The NVIDIA driver is too old for this CUDA",
        cause="Each CUDA major needs a least driver (cu13: 580, cu12: 525, cu11: 450); minor releases share it.",
        remedy=_older_driver,
        covers=("B3",),
        sources=("FunASR#2973", "vllm#11623", "CUDA compatibility documentation"),
        find=_driver,
        log=(
            r"The NVIDIA driver on your system is too old \(found version (?P<found>\d+)\)",
            r"CUDA driver version is insufficient for CUDA runtime version",
        ),
        from_log=_driver_log,
    ),
    Check(
        id="driver-older-than-toolkit",
        theme="cuda",
        severity="info",
        title="The driver is older than the one of this CUDA release",
        cause=(
            "It runs by minor-version compatibility; it cannot compile PTX of this CUDA and lacks its newer features."
        ),
        remedy=Remedy("Nothing while it works; kernels that are compiled at run time may need a newer driver."),
        covers=("B3",),
        sources=("CUDA compatibility documentation",),
        find=_minor_driver,
    ),
    Check(
        id="driver-symbol-missing",
        theme="cuda",
        severity="error",
        title="The driver library lacks a function that a package needs",
        cause="libcuda.so.1 comes from the driver and is older than what the package was compiled for.",
        remedy=_older_driver,
        covers=("B4",),
        sources=("vllm#11623", "vllm#6355", "sglang#3065"),
        find=_driver_symbols,
        log=(rf"undefined symbol: (?P<symbol>cu(?:{_DRIVER_CALLS})\w*)",),
    ),
    Check(
        id="fabric-manager",
        theme="cuda",
        severity="error",
        title="The NVSwitch fabric is not initialised",
        cause="On HGX machines CUDA starts only after the fabric manager of exactly the driver's version has run.",
        remedy=Remedy(
            "Ask the site to start nvidia-fabricmanager in the version of the driver.",
            ("systemctl status nvidia-fabricmanager", "nvidia-smi -q | grep -A3 Fabric"),
        ),
        covers=("B13",),
        sources=("pytorch#35710", "gpustack#4154"),
        find=_fabric,
        log=(
            r"(?:Error 802|CUDA error): system not yet initialized",
            r"CUDA_ERROR_SYSTEM_NOT_READY",
            r"cudaErrorSystemNotReady",
        ),
    ),
    Check(
        id="no-gpu-here",
        theme="cuda",
        severity="error",
        title="This node has no GPU",
        cause=(
            "libcuda.so.1 comes with the driver; on a login or head node, imports of triton or TransformerEngine fail."
        ),
        remedy=Remedy("Start the driver on a node with a GPU; a login node is fine for installing and for this check."),
        covers=("B14",),
        sources=("verl#904", "vllm#12847"),
        find=_no_gpu,
        log=(
            r"0 active drivers \(\[\]\)\. There should only be one",
            r"libcuda\.so\.1: cannot open shared object",
            r"Failed to infer device type",
        ),
        from_log=_no_gpu_log,
    ),
    Check(
        id="nvcc-other-cuda",
        theme="cuda",
        severity="error",
        title="nvcc is of another CUDA major than torch",
        cause="Extensions are compiled with the toolkit of PATH or CUDA_HOME; torch refuses one of another major.",
        remedy=Remedy(
            "For builds, load the CUDA module of torch's major and point CUDA_HOME at it.",
            ("module load cuda", 'export CUDA_HOME="$(dirname "$(dirname "$(command -v nvcc)")")"'),
        ),
        covers=("B15",),
        sources=("apex#954", "TransformerEngine#553", "vllm#31718"),
        find=_nvcc,
        log=(
            r"The detected CUDA version \([\d.]+\) mismatches the version that was used to compile",
            r"Installed CUDA version [\d.]+ does not match the version torch was compiled with",
        ),
    ),
    Check(
        id="nccl-cumem",
        theme="cuda",
        severity="warning",
        title="NCCL_CUMEM_ENABLE=1 is set",
        cause="verl sets it to 0 for its workers; trainer and engine that disagree hang or fail in the weight sync.",
        remedy=Remedy("Leave it to verl.", ("unset NCCL_CUMEM_ENABLE",)),
        covers=("B16",),
        sources=("SkyRL PR#143", "verl PR#5522"),
        find=_cumem,
    ),
    Check(
        id="nvls-without-imex",
        theme="cuda",
        severity="error",
        title="NVLink SHARP or multi-node NVLink without IMEX channels",
        cause="On GB200, NCCL uses multi-node NVLink memory, which needs an IMEX channel that this job does not have.",
        remedy=Remedy(
            "Switch both off, or ask the site for IMEX channels.",
            ("export NCCL_NVLS_ENABLE=0", "export NCCL_MNNVL_ENABLE=0"),
        ),
        covers=("B17",),
        sources=("verl constants_ppo.py",),
        find=_imex,
        log=(r"(?:ncclAllGather|ncclCommInitRank\w{0,24}|NCCL WARN)[^\n]{0,120}\b801\b",),
    ),
)
