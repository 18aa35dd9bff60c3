"""AMD GPUs: builds, visibility variables, targets, access."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_ROCM_TRITONS = ("pytorch-triton-rocm", "triton-rocm")
_AITER_TARGETS = frozenset({"gfx942", "gfx950"})


def is_amd(facts: Facts) -> bool:
    """Whether this is known to be about AMD GPUs."""
    return facts.rocm_torch or facts.has_amd_gpu


@finds("cuda-torch-on-amd")
def _cuda_torch(facts: Facts) -> Hit | None:
    if not facts.has_amd_gpu or facts.has_nvidia_gpu or facts.cuda is None:
        return None
    gfx = facts.gfx[0] if facts.gfx else "an AMD GPU"
    return Hit((facts.named("torch"), f"built for CUDA {facts.cuda}", gfx))


@mends("two-tritons")
def _one_triton(facts: Facts) -> Remedy:
    other = facts.first_of(_ROCM_TRITONS) or _ROCM_TRITONS[0]
    version = facts.packages.get(other)
    text = "Remove the CUDA build of triton and reinstall the ROCm one."
    fix = Fix(uninstall=("triton",), install=(f"{other}=={version}" if version else other,), reinstall=True)
    return remedy(facts.shell, text, fix, safe=False)


@finds("amdsmi-missing")
def _amdsmi(facts: Facts) -> Hit | None:
    if not facts.rocm_torch or not facts.installed("vllm") or not facts.absent("amdsmi"):
        return None
    if facts.target is not None and (facts.target.site / "amdsmi").is_dir():
        return None
    return Hit((facts.named("vllm"), "amdsmi is not installed"), severity="warning")


@finds("hip-library")
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


@finds("gfx-not-built")
def _target(facts: Facts) -> Hit | None:
    other = [gfx for gfx in facts.gfx if gfx not in _AITER_TARGETS]
    if not other or not (facts.installed("aiter") or facts.installed("amd-aiter")):
        return None
    if facts.variable("VLLM_ROCM_USE_AITER") == "0":
        return None
    return Hit((other[0], "aiter is installed"), severity="warning")


@finds("two-vendors")
def _two_vendors(facts: Facts) -> Hit | None:
    if not facts.has_amd_gpu or not facts.rocm_torch:
        return None
    if facts.has_nvidia_gpu or facts.matches("pynvml", "<12"):
        evidence = (facts.gfx[0] if facts.gfx else "an AMD GPU", "an NVIDIA GPU or pynvml is there too")
        return Hit(evidence, severity="warning")
    return None


@finds("expandable-segments-rocm")
def _expandable(facts: Facts) -> Hit | None:
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        value = facts.variable(name)
        if facts.rocm_torch and value and "expandable_segments:True" in value:
            return Hit((f"{name}={value}",), severity="warning")
    return None


@finds("kfd-access")
def _access(facts: Facts) -> Hit | None:
    denied = [node for node in facts.host.denied or () if node == "/dev/kfd" or "renderD" in node]
    if "/dev/kfd" not in (facts.host.nodes or ()) or not denied:
        return None
    return Hit(tuple(f"{node} cannot be opened" for node in sorted(denied)), severity="warning")


@finds("hsa-scratch")
def _scratch(facts: Facts) -> Hit | None:
    if "gfx942" not in facts.gfx or not facts.unset("HSA_NO_SCRATCH_RECLAIM") or not facts.rocm_torch:
        return None
    return Hit(("HSA_NO_SCRATCH_RECLAIM is not set",), severity="info")


@reads("amdsmi-missing")
def _amdsmi_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """At its start vLLM asks for every platform, and says of most that this machine is none of them."""
    start = match.string.rfind("\n", 0, match.start()) + 1
    asked = "platform is not available" in match.string[start : match.start()]
    elsewhere = facts.has_nvidia_gpu or facts.cuda is not None
    return None if (asked or elsewhere) and not is_amd(facts) else Hit(())


@reads("cuda-torch-on-amd")
def _cuda_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """A CUDA library that is missed on ROCm belongs to a package of the wrong build."""
    return Hit((), "a package of this AMD machine is a CUDA build") if on_rocm(facts, match.string) else None


def on_rocm(facts: Facts, log: str) -> bool:
    """Whether it is about ROCm by what is known, or by what only torch for ROCm prints."""
    return is_amd(facts) or re.search(r"HIPAllocatorConfig|HIPCachingAllocator|torch\.version\.hip", log) is not None
