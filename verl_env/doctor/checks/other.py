"""aarch64, Ascend, and what only a run can settle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.dependencies import versions
from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_P2P = ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE", "NCCL_SHM_DISABLE")


def _arm_cpu(facts: Facts) -> Hit | None:
    if facts.machine.host.arch != "aarch64" or facts.torch_flavour != "cpu" or not facts.has_nvidia_gpu:
        return None
    return Hit((facts.named("torch"), "a CPU build", "there is an NVIDIA GPU"))


def _cpu_torch(facts: Facts) -> Hit | None:
    """The same on x86_64: a CPU build where a GPU is."""
    if facts.machine.host.arch == "aarch64" or facts.torch_flavour != "cpu" or not facts.has_nvidia_gpu:
        return None
    return Hit((facts.named("torch"), "a CPU build", "there is an NVIDIA GPU"), covers=())


def _cuda_torch(_: Facts) -> Remedy:
    return Remedy("Install a CUDA build of torch.", ("verl-env plan --stack vllm",))


def _ascend_triton(facts: Facts) -> Hit | None:
    return Hit(versions(facts, "triton", "triton-ascend")) if facts.installed("triton", "triton-ascend") else None


def _ascend_env(facts: Facts) -> Hit | None:
    package = facts.first_of(("torch-npu", "vllm-ascend"))
    if package is None or not facts.unset("ASCEND_HOME_PATH"):
        return None
    return Hit((facts.named(package), "ASCEND_HOME_PATH is not set"), severity="warning")


def _cuda_on_npu(facts: Facts) -> Hit | None:
    nvidia = [name for name in facts.packages if name.startswith(("nvidia-cublas", "nvidia-cudnn"))]
    if not nvidia or facts.first_of(("torch-npu", "vllm-ascend")) is None:
        return None
    return Hit((facts.named(nvidia[0]), *versions(facts, "torch-npu", "torch")), severity="warning")


def _plugins(facts: Facts) -> Hit | None:
    """VLLM_PLUGINS limits the start-up hooks that vLLM runs."""
    value = facts.variable("VLLM_PLUGINS")
    if value is None or not facts.installed("vllm") or "verl" in value or facts.installed("verl-env-runtime"):
        return None
    return Hit((f"VLLM_PLUGINS={value}",), severity="info")


def _injected(facts: Facts) -> Hit | None:
    """Megatron on PYTHONPATH in a container beside TransformerEngine (LoongForge#97)."""
    path = facts.variable("PYTHONPATH") or ""
    inside = facts.machine.host.container
    if not re.search(r"(?i)megatron", path) or not inside or not facts.installed("transformer-engine"):
        return None
    return Hit((f"PYTHONPATH={path}", f"container: {inside}", facts.named("transformer-engine")), severity="warning")


def _p2p(facts: Facts) -> Hit | None:
    found = [f"{name}={value}" for name in _P2P if (value := facts.variable(name))]
    return Hit(tuple(found), severity="info") if found else None


def _illegal_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    del match
    known = facts.matches("vllm", "==0.5.4") or facts.matches("vllm", "==0.6.3") or facts.matches("vllm", "==0.24.0")
    return Hit(versions(facts, "vllm"), severity="error" if known else "warning")


CHECKS = (
    Check(
        id="cpu-torch-on-aarch64",
        theme="other",
        severity="error",
        title="A CPU build of torch on an aarch64 machine with GPUs",
        cause="The default index served CPU builds for aarch64 until torch 2.11.",
        remedy=_cuda_torch,
        covers=("J1",),
        sources=("verl#3468", "vllm#10459"),
        find=_arm_cpu,
    ),
    Check(
        id="cpu-torch-with-gpu",
        theme="other",
        severity="error",
        title="A CPU build of torch on a machine with GPUs",
        cause="The installer chose the CPU build, as uv's automatic backend does on a node without a GPU.",
        remedy=_cuda_torch,
        covers=(),
        sources=("uv documentation",),
        find=_cpu_torch,
        log=(r"Torch not compiled with CUDA enabled",),
    ),
    Check(
        id="aarch64-wheels",
        theme="other",
        severity="error",
        title="There is no wheel of this package for aarch64",
        cause=(
            "flash-attn, xformers, decord and older SGLang kernels have no wheels for aarch64; verl's uv lock has none."
        ),
        remedy=Remedy("Build it on the machine, or use a wheelhouse of your own.", ("verl-env plan --stack vllm",)),
        covers=("J2",),
        sources=("flash-attention#1866", "flash-attention#2045", "verl install.rst"),
        log=(
            r"has no wheels with a matching platform tag[^\n]*aarch64",
            r"(?s)(?:flash[_-]attn|xformers|decord|sgl[_-]kernel)[^\n]{0,200}no (?:matching )?wheels?.{0,300}aarch64",
        ),
    ),
    Check(
        id="ascend-triton",
        theme="other",
        severity="error",
        title="triton and triton-ascend share one directory",
        cause="Both own triton/; vllm-ascend needs its own build.",
        remedy=Remedy("Remove triton and reinstall triton-ascend.", ("pip uninstall -y triton",)),
        covers=("J3",),
        sources=("verl#5468", "vllm-ascend#7587", "vllm-ascend#3266"),
        find=_ascend_triton,
        log=(r"module 'triton\.language' has no attribute 'constexpr_function'",),
    ),
    Check(
        id="ascend-environment",
        theme="other",
        severity="error",
        title="The environment of CANN is not set",
        cause="set_env.sh of the toolkit and of nnal was not sourced in this shell.",
        remedy=Remedy(
            "Source both.",
            (
                "source /usr/local/Ascend/ascend-toolkit/set_env.sh",
                "source /usr/local/Ascend/nnal/atb/set_env.sh",
            ),
        ),
        covers=("J4",),
        sources=("vllm-ascend#152",),
        find=_ascend_env,
        log=(r"lib(?:atb|hccl|ascendcl|ascend_hal)\.so: cannot open shared object",),
    ),
    Check(
        id="cuda-wheels-on-ascend",
        theme="other",
        severity="warning",
        title="NVIDIA wheels on an Ascend host",
        cause="torch of the default index brings CUDA wheels on x86_64.",
        remedy=Remedy("Install the CPU build of torch below torch-npu."),
        covers=("J5",),
        sources=("vllm-ascend#6134",),
        find=_cuda_on_npu,
    ),
    Check(
        id="vllm-plugins-limited",
        theme="other",
        severity="info",
        title="VLLM_PLUGINS leaves out start-up plugins",
        cause="vLLM runs only the plugins that the variable names; patches that come as plugins do not run.",
        remedy=Remedy("Add them, or unset it.", ("unset VLLM_PLUGINS",)),
        covers=("K1",),
        sources=("vllm documentation",),
        find=_plugins,
    ),
    Check(
        id="megatron-injected",
        theme="other",
        severity="warning",
        title="Megatron from PYTHONPATH in a container with TransformerEngine",
        cause="Importing TransformerEngine in this mix has hung the driver of whole nodes.",
        remedy=Remedy("Install Megatron in the environment instead.", ("unset PYTHONPATH",)),
        covers=("K3",),
        sources=("LoongForge#97",),
        find=_injected,
    ),
    Check(
        id="nccl-transport",
        theme="other",
        severity="warning",
        title="NCCL's transports were changed or hang",
        cause="Broken peer-to-peer access (ACS, IOMMU) makes NCCL hang; the variables that avoid it slow good nodes.",
        remedy=Remedy("Test with an all-reduce on this node.", ("verl-env doctor --deep", "export NCCL_DEBUG=INFO")),
        covers=("K4",),
        sources=("vllm#8058", "vllm#5484", "vllm#6732"),
        find=_p2p,
        log=(r"Watchdog caught collective operation timeout", r"NCCL WARN [^\n]*(?:P2P|peer mapping)[^\n]*"),
    ),
    Check(
        id="illegal-memory-access",
        theme="other",
        severity="warning",
        title="An illegal memory access in the engine",
        cause="Releases of vLLM with CUDA graphs and sleep mode had such defects (0.5.4, 0.6.3, 0.24).",
        remedy=Remedy("Change the release of the engine, or run without CUDA graphs.", ("enforce_eager=True",)),
        covers=("K5",),
        sources=("verl#241", "verl#678"),
        log=(r"an illegal memory access was encountered",),
        from_log=_illegal_log,
    ),
)
