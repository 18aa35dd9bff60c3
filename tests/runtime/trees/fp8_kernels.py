"""FP8 kernels in plain torch, in the place of the GPU's: each reads codes and scales in the layout that its kernel has.

So vLLM's own ``apply`` runs on a CPU: which parameters it takes, and in which layout, is its own choice. For experts,
whose kernels cannot be taken apart so, ``experts`` reads the processed weights.
"""

from __future__ import annotations

import contextlib
import functools
import importlib

BLOCK = 128


def spread(scale, shape):
    """Scales by block, as large as what they scale."""
    return scale.repeat_interleave(BLOCK, -2).repeat_interleave(BLOCK, -1)[..., : shape[-2], : shape[-1]]


def weights_of(codes, scale):
    """The weights that codes and scales stand for; the scales by block of rows and columns, or transposed."""
    wanted = tuple(-(-size // BLOCK) for size in codes.shape[-2:])
    if tuple(scale.shape[-2:]) != wanted:
        scale = scale.transpose(-1, -2)
    assert tuple(scale.shape[-2:]) == wanted, (tuple(scale.shape), wanted)
    return codes.float() * spread(scale.float(), codes.shape)


def activations(x, group_size, *_args, **_options):
    """One scale per row and 128 columns, as vLLM quantizes what a layer gets."""
    from verl_env_runtime.fp8.quantize import scaled_fp8_blockwise_torch

    return scaled_fp8_blockwise_torch(x, 1, group_size)


def rows(codes, scale):
    return codes.float() * scale.repeat_interleave(BLOCK, -1)[:, : codes.shape[-1]]


def triton(a, b, a_scale, b_scale, _block=None, output_dtype=None):
    """Scales by block of rows and columns."""
    assert tuple(b_scale.shape) == tuple(size // BLOCK for size in b.shape), tuple(b_scale.shape)
    return (rows(a, a_scale) @ (b.float() * spread(b_scale, b.shape)).t()).to(output_dtype)


def cutlass(a, b, scale_a, scale_b, out_dtype, bias=None):
    """Takes the weights as columns, with scales by block of columns and rows."""
    assert bias is None
    assert tuple(scale_b.shape) == tuple(size // BLOCK for size in b.shape), tuple(scale_b.shape)
    return (rows(a, scale_a) @ (b.float() * spread(scale_b, b.shape))).to(out_dtype)


def deepgemm(left, right, output, **_options):
    """Scales as DeepGEMM's conversion leaves them."""
    output.copy_(rows(*left) @ weights_of(*right).t())


STAND_INS = {
    "per_token_group_quant_fp8": activations,
    "w8a8_block_fp8_matmul": triton,
    "w8a8_triton_block_scaled_mm": triton,
    "cutlass_scaled_mm": cutlass,
    "fp8_gemm_nt": deepgemm,
}
MODULES = {
    "vllm._custom_ops": ["cutlass_scaled_mm"],
    "vllm.utils.deep_gemm": ["fp8_gemm_nt"],
    "vllm.model_executor.kernels.linear.scaled_mm.deep_gemm": ["fp8_gemm_nt"],
    "vllm.model_executor.layers.quantization.utils.fp8_utils": [
        "per_token_group_quant_fp8",
        "w8a8_block_fp8_matmul",
        "w8a8_triton_block_scaled_mm",
        "fp8_gemm_nt",
    ],
}


UTILS = "vllm.model_executor.layers.quantization.utils.fp8_utils"
#: Operators that vLLM registers for CUDA alone, with the function behind each by module.
OPERATORS = {
    "apply_w8a8_block_fp8_linear": {UTILS: "apply_w8a8_block_fp8_linear"},
    "padded_cutlass": {UTILS: "_padded_cutlass"},
    "w8a8_triton_block_scaled_mm_func": {
        UTILS: "_w8a8_triton_block_scaled_mm_func",
        "vllm.model_executor.kernels.linear.scaled_mm.triton": "_w8a8_triton_block_scaled_mm_func",
    },
    "fp8_gemm_nt_op": {
        UTILS: "_fp8_gemm_nt_op",
        "vllm.model_executor.kernels.linear.scaled_mm.deep_gemm": "_fp8_gemm_nt_op",
    },
}


@functools.lru_cache(maxsize=1)
def operators():
    """Registers the operators for the CPU too."""
    import torch

    library = torch.library.Library("vllm", "IMPL")
    for name, places in OPERATORS.items():
        for module_name, function in places.items():
            with contextlib.suppress(ImportError, AttributeError):
                library.impl(name, getattr(importlib.import_module(module_name), function), "CPU")
    return library


@contextlib.contextmanager
def in_torch():
    """With the stand-ins, on a platform that says it is CUDA: some versions take CUTLASS only there."""
    from vllm.platforms import current_platform
    from vllm.platforms.interface import PlatformEnum

    operators()
    kind = type(current_platform)
    before = [(kind, "_enum", kind._enum)]
    for module_name, names in MODULES.items():
        with contextlib.suppress(ImportError):
            module = importlib.import_module(module_name)
            before += [(module, name, getattr(module, name)) for name in names if hasattr(module, name)]
    for owner, name, _ in before[1:]:
        setattr(owner, name, STAND_INS[name])
    kind._enum = PlatformEnum.CUDA
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def linear(layer, x):
    """What vLLM's own method makes of an input."""
    with in_torch():
        return layer.quant_method.apply(layer, x)


def experts(layer, x, *, gate_first=True):
    """Every expert on every token, from the processed weights."""
    import torch

    scale = "weight_scale_inv"
    w13 = weights_of(layer.w13_weight, getattr(layer, "w13_" + scale))
    w2 = weights_of(layer.w2_weight, getattr(layer, "w2_" + scale))
    gate, up = w13.chunk(2, dim=1) if gate_first else reversed(w13.chunk(2, dim=1))
    x = x.float()
    return torch.stack(
        [(torch.nn.functional.silu(x @ g.t()) * (x @ u.t())) @ d.t() for g, u, d in zip(gate, up, w2, strict=True)]
    )
