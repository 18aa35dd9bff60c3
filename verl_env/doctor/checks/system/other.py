"""aarch64, Ascend, and what only a run can settle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, reads
from verl_env.doctor.model import Hit

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_P2P = ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE", "NCCL_SHM_DISABLE")


@finds("cpu-torch-on-aarch64")
def _arm_cpu(facts: Facts) -> Hit | None:
    if facts.machine.host.arch != "aarch64" or facts.torch_flavour != "cpu" or not facts.has_nvidia_gpu:
        return None
    return Hit((facts.named("torch"), "a CPU build", "there is an NVIDIA GPU"))


@finds("cpu-torch-with-gpu")
def _cpu_torch(facts: Facts) -> Hit | None:
    """The same on x86_64: a CPU build where a GPU is."""
    if facts.machine.host.arch == "aarch64" or facts.torch_flavour != "cpu" or not facts.has_nvidia_gpu:
        return None
    return Hit((facts.named("torch"), "a CPU build", "there is an NVIDIA GPU"), covers=())


@finds("ascend-environment")
def _ascend_env(facts: Facts) -> Hit | None:
    package = facts.first_of(("torch-npu", "vllm-ascend"))
    if package is None or not facts.unset("ASCEND_HOME_PATH"):
        return None
    return Hit((facts.named(package), "ASCEND_HOME_PATH is not set"), severity="warning")


@finds("cuda-wheels-on-ascend")
def _cuda_on_npu(facts: Facts) -> Hit | None:
    nvidia = [name for name in facts.packages if name.startswith(("nvidia-cublas", "nvidia-cudnn"))]
    if not nvidia or facts.first_of(("torch-npu", "vllm-ascend")) is None:
        return None
    return Hit((facts.named(nvidia[0]), *facts.versions("torch-npu", "torch")), severity="warning")


@finds("vllm-plugins-limited")
def _plugins(facts: Facts) -> Hit | None:
    """VLLM_PLUGINS limits the start-up hooks that vLLM runs."""
    value = facts.variable("VLLM_PLUGINS")
    if value is None or not facts.installed("vllm") or "verl" in value or facts.installed("verl-env-runtime"):
        return None
    return Hit((f"VLLM_PLUGINS={value}",), severity="info")


@finds("megatron-injected")
def _injected(facts: Facts) -> Hit | None:
    """Megatron on PYTHONPATH in a container beside TransformerEngine (LoongForge#97)."""
    path = facts.variable("PYTHONPATH") or ""
    inside = facts.machine.host.container
    if not re.search(r"(?i)megatron", path) or not inside or not facts.installed("transformer-engine"):
        return None
    return Hit((f"PYTHONPATH={path}", f"container: {inside}", facts.named("transformer-engine")), severity="warning")


@finds("nccl-transport")
def _p2p(facts: Facts) -> Hit | None:
    found = [f"{name}={value}" for name in _P2P if (value := facts.variable(name))]
    return Hit(tuple(found), severity="info") if found else None


@reads("illegal-memory-access")
def _illegal_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    del match
    known = facts.matches("vllm", "==0.5.4") or facts.matches("vllm", "==0.6.3") or facts.matches("vllm", "==0.24.0")
    return Hit(facts.versions("vllm"), severity="error" if known else "warning")
