"""Which packages of a lock matter most to a reader: the engines, torch and what it is made of, CUDA or ROCm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Container

Group = Literal["engines", "torch", "cuda", "others"]

#: Every group, in the order in which they are shown.
GROUPS: tuple[Group, ...] = ("engines", "torch", "cuda", "others")

#: What serves and trains, and the kernels made for it.
ENGINES = frozenset(
    {
        "apex",
        "causal-conv1d",
        "deep-ep",
        "deep-gemm",
        "flash-attn",
        "flash-linear-attention",
        "flashinfer-cubin",
        "flashinfer-jit-cache",
        "flashinfer-python",
        "liger-kernel",
        "mamba-ssm",
        "mbridge",
        "megatron-bridge",
        "megatron-core",
        "sgl-kernel",
        "sglang",
        "sglang-kernel",
        "transformer-engine",
        "transformer-engine-cu12",
        "transformer-engine-cu13",
        "transformer-engine-torch",
        "verl",
        "vllm",
        "vllm-flash-attn",
        "xformers",
    }
)
_TORCH = frozenset({"triton", "triton-rocm", "tensordict"})
_TORCH_PREFIXES = ("torch", "pytorch-triton")
_CUDA_PREFIXES = ("nvidia-", "cuda-", "cupy-", "rocm-", "hip-")


def group_of(name: str, engines: Container[str] = ENGINES) -> Group:
    """The group of a package.

    Args:
        name: Its normalised name.
        engines: The names that count as engines; a caller adds the native components of its lockset.
    """
    if name in engines:
        return "engines"
    if name in _TORCH or name.startswith(_TORCH_PREFIXES):
        return "torch"
    return "cuda" if name.startswith(_CUDA_PREFIXES) else "others"
