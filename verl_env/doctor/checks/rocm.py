"""AMD GPUs: builds, visibility variables, targets, access."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.dependencies import versions
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Check, Fix, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_ROCM_TRITONS = ("pytorch-triton-rocm", "triton-rocm")
_AITER_TARGETS = frozenset({"gfx942", "gfx950"})


def is_amd(facts: Facts) -> bool:
    """Whether this is known to be about AMD GPUs."""
    return facts.rocm_torch or facts.has_amd_gpu


def _cuda_torch(facts: Facts) -> Hit | None:
    if not facts.has_amd_gpu or facts.has_nvidia_gpu or facts.cuda is None:
        return None
    gfx = facts.gfx[0] if facts.gfx else "an AMD GPU"
    return Hit((facts.named("torch"), f"built for CUDA {facts.cuda}", gfx))


def _two_tritons(facts: Facts) -> Hit | None:
    other = facts.first_of(_ROCM_TRITONS)
    return Hit(versions(facts, "triton", other)) if other and facts.installed("triton") else None


def _one_triton(facts: Facts) -> Remedy:
    other = facts.first_of(_ROCM_TRITONS) or _ROCM_TRITONS[0]
    version = facts.packages.get(other)
    text = "Remove the CUDA build of triton and reinstall the ROCm one."
    fix = Fix(uninstall=("triton",), install=(f"{other}=={version}" if version else other,), reinstall=True)
    return remedy(facts.shell, text, fix, safe=False)


def _amdsmi(facts: Facts) -> Hit | None:
    if not facts.rocm_torch or not facts.installed("vllm") or not facts.absent("amdsmi"):
        return None
    if facts.target is not None and (facts.target.site / "amdsmi").is_dir():
        return None
    return Hit((facts.named("vllm"), "amdsmi is not installed"), severity="warning")


def _hip_library(facts: Facts) -> Hit | None:
    target = facts.target
    if target is None or not facts.rocm_torch:
        return None
    for shared in target.objects:
        wanted = [name for name in shared.elf.needed if name.startswith("libamdhip64.so")] if shared.elf else []
        lost = {name for name, _ in target.missing_libraries(shared)} & set(wanted) if wanted else set()
        if lost:
            return Hit((f"{target.relative(shared.path)} needs {lost.pop()}", facts.named("torch")))
    return None


def _target(facts: Facts) -> Hit | None:
    other = [gfx for gfx in facts.gfx if gfx not in _AITER_TARGETS]
    if not other or not (facts.installed("aiter") or facts.installed("amd-aiter")):
        return None
    if facts.variable("VLLM_ROCM_USE_AITER") == "0":
        return None
    return Hit((other[0], "aiter is installed"), severity="warning")


def _two_vendors(facts: Facts) -> Hit | None:
    if not facts.has_amd_gpu or not facts.rocm_torch:
        return None
    if facts.has_nvidia_gpu or facts.matches("pynvml", "<12"):
        evidence = (facts.gfx[0] if facts.gfx else "an AMD GPU", "an NVIDIA GPU or pynvml is there too")
        return Hit(evidence, severity="warning")
    return None


def _expandable(facts: Facts) -> Hit | None:
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        value = facts.variable(name)
        if facts.rocm_torch and value and "expandable_segments:True" in value:
            return Hit((f"{name}={value}",), severity="warning")
    return None


def _access(facts: Facts) -> Hit | None:
    denied = [node for node in facts.host.denied or () if node == "/dev/kfd" or "renderD" in node]
    if "/dev/kfd" not in (facts.host.nodes or ()) or not denied:
        return None
    return Hit(tuple(f"{node} cannot be opened" for node in sorted(denied)), severity="warning")


def _scratch(facts: Facts) -> Hit | None:
    if "gfx942" not in facts.gfx or not facts.unset("HSA_NO_SCRATCH_RECLAIM") or not facts.rocm_torch:
        return None
    return Hit(("HSA_NO_SCRATCH_RECLAIM is not set",), severity="info")


def _amdsmi_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """At its start vLLM asks for every platform, and says of most that this machine is none of them."""
    start = match.string.rfind("\n", 0, match.start()) + 1
    asked = "platform is not available" in match.string[start : match.start()]
    elsewhere = facts.has_nvidia_gpu or facts.cuda is not None
    return None if (asked or elsewhere) and not is_amd(facts) else Hit(())


def _cuda_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """A CUDA library that is missed on ROCm belongs to a package of the wrong build."""
    return Hit((), "a package of this AMD machine is a CUDA build") if on_rocm(facts, match.string) else None


def on_rocm(facts: Facts, log: str) -> bool:
    """Whether it is about ROCm by what is known, or by what only torch for ROCm prints."""
    return is_amd(facts) or re.search(r"HIPAllocatorConfig|HIPCachingAllocator|torch\.version\.hip", log) is not None


CHECKS = (
    Check(
        id="cuda-torch-on-amd",
        theme="rocm",
        severity="error",
        title="A CUDA build of torch on an AMD machine",
        cause="The default index serves CUDA builds of torch and vLLM.",
        remedy=Remedy(
            "Install the ROCm builds; never a plain install of vLLM.",
            ("verl-env plan --stack vllm --gpu mi300x --explain",),
        ),
        covers=("I1",),
        sources=("vllm#8788", "vllm/recipes PR#280"),
        find=_cuda_torch,
        log=(
            r"libcuda\.so\.1: cannot open shared object",
            r"lib(?:cudart|nvrtc)\.so\.[\d.]+: cannot open shared object",
        ),
        from_log=_cuda_log,
        explains=("sgl-kernel-critical", "vllm-op-missing"),
    ),
    Check(
        id="two-tritons",
        theme="rocm",
        severity="error",
        title="The CUDA and the ROCm build of triton share one directory",
        cause="Both own triton/; whichever came last replaced the other's files.",
        remedy=_one_triton,
        covers=("I2", "D22"),
        sources=("vllm#8788",),
        find=_two_tritons,
    ),
    Check(
        id="amdsmi-missing",
        theme="rocm",
        severity="error",
        title="amdsmi is not installed",
        cause="vLLM recognises ROCm through amdsmi, which comes with ROCm and not from an index.",
        remedy=Remedy(
            "Install it from a copy of ROCm's own directory.",
            ("cp -r /opt/rocm/share/amd_smi /tmp/amd_smi", "pip install /tmp/amd_smi"),
        ),
        covers=("I8",),
        sources=("vllm#24576", "vllm#39378", "vllm#10653"),
        find=_amdsmi,
        log=(r"No module named '?amdsmi",),
        from_log=_amdsmi_log,
        explains=("no-gpu-here",),
    ),
    Check(
        id="hip-library",
        theme="rocm",
        severity="error",
        title="A package is built for another ROCm",
        cause="It is linked to the HIP runtime of another ROCm major than torch brings.",
        remedy=Remedy("Rebuild it against the ROCm that is there."),
        covers=("I9",),
        sources=("vllm#8004",),
        find=_hip_library,
        log=(r"libamdhip64\.so\.\d+: cannot open shared object",),
    ),
    Check(
        id="gfx-not-built",
        theme="rocm",
        severity="error",
        title="A package has no code for this AMD GPU",
        cause="Wheels and verl's image are built for gfx942 and gfx950; aiter for these alone.",
        remedy=Remedy(
            "Rebuild for the target, or switch aiter off.",
            ("export VLLM_ROCM_USE_AITER=0", "export PYTORCH_ROCM_ARCH=gfx90a"),
        ),
        covers=("I10",),
        sources=("aiter#179", "vllm#9319", "verl docker/rocm/README"),
        find=_target,
        log=(
            r"HIP error: invalid device function",
            r"hipErrorNoBinaryForGpu",
            r"hipModuleLoad\w* .{0,80}file not found",
        ),
    ),
    Check(
        id="two-vendors",
        theme="rocm",
        severity="warning",
        title="vLLM may take this AMD machine for an NVIDIA one",
        cause="An NVIDIA display card or pynvml answers before the AMD GPUs are looked at.",
        remedy=Remedy("Remove pynvml and nvidia-ml-py, or hide the card.", ("pip uninstall -y pynvml nvidia-ml-py",)),
        covers=("I11",),
        sources=("vllm#9319",),
        find=_two_vendors,
    ),
    Check(
        id="expandable-segments-rocm",
        theme="rocm",
        severity="warning",
        title="Expandable segments break vLLM's custom all-reduce on ROCm",
        cause="The custom all-reduce shares memory between processes, which expandable segments do not support there.",
        remedy=Remedy("Switch it off in the engine.", ("disable_custom_all_reduce=True",)),
        covers=("I12",),
        sources=("verl amd_quick_start.rst",),
        find=_expandable,
    ),
    Check(
        id="kfd-access",
        theme="rocm",
        severity="warning",
        title="This user may not open the AMD devices",
        cause="/dev/kfd and the render nodes belong to the groups render and video.",
        remedy=Remedy("Ask to be added.", ("sudo usermod -aG render,video $USER",)),
        covers=("I13",),
        sources=("verl documentation (--group-add video)",),
        find=_access,
        log=(r"Unable to open /dev/kfd", r"/dev/kfd[^\n]{0,40}Permission denied"),
        explains=("visibility-nested", "hip-no-device"),
    ),
    Check(
        id="hsa-scratch",
        theme="rocm",
        severity="info",
        title="HSA may hang while it reclaims scratch memory",
        cause="verl sets HSA_NO_SCRATCH_RECLAIM=1 for its workers; other processes of the job do not have it.",
        remedy=Remedy("Set it.", ("export HSA_NO_SCRATCH_RECLAIM=1",)),
        covers=("I14",),
        sources=("verl constants_ppo.py",),
        find=_scratch,
    ),
)
