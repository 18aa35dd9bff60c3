"""FP8 block quantization on a GPU: is the kernel the reference, how near the memory's speed, does a refit hold?

``python benchmarks/fp8/run_on_gpu.py`` needs torch, Triton and one GPU with FP8; it prints one JSON document. Exit
code 1 where something is not as it must be.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "verl_env" / "runtime" / "src")]

import torch  # noqa: E402
import triton  # noqa: E402
from gemm import fp8_linear  # noqa: E402
from verl_env_runtime.fp8.kernel import scaled_fp8_blockwise_triton  # noqa: E402
from verl_env_runtime.fp8.quantize import (  # noqa: E402
    dequantized,
    scaled_fp8_blockwise,
    scaled_fp8_blockwise_torch,
)
from verl_env_runtime.fp8.refit import refit  # noqa: E402
from verl_env_runtime.fp8.wrap import wrap  # noqa: E402

SHAPES = [(128, 128), (256, 384), (300, 200), (1, 1), (1, 4096), (4096, 1), (129, 257), (127, 127), (4096, 4096)]
SHAPES += [(7168, 2048), (18432, 7168), (5000, 3001)]
DTYPES = [torch.bfloat16, torch.float16, torch.float32]
BLOCKS = [(128, 128), (1, 128), (64, 32)]
ROUNDS = 50


def equal(got, want):
    """Mismatching codes (NaN equals NaN whatever its sign) and scales (by their bits)."""
    (codes, scales), (wanted_codes, wanted_scales) = got, want
    mine, its = codes.view(torch.uint8), wanted_codes.view(torch.uint8)
    both_nan = (mine & 0x7F == 0x7F) & (its & 0x7F == 0x7F)
    codes_off = int(((mine != its) & ~both_nan).sum())
    same_scale = (scales.view(torch.int32) == wanted_scales.view(torch.int32)) | (
        scales.isnan() & wanted_scales.isnan()
    )
    return codes_off, int((~same_scale).sum()), scales.shape == wanted_scales.shape


def special(kind, dtype):
    torch.manual_seed(3)
    x = torch.randn(300, 200, device="cuda", dtype=dtype)
    values = {"zeros": 0.0, "inf": float("inf"), "minus-inf": float("-inf"), "nan": float("nan")}
    if kind == "zeros":
        x[:128, :128] = 0
    elif kind in values:
        x[5, 7] = values[kind]
        x[299, 199] = values[kind]
    elif kind == "all-nan":
        x[:] = float("nan")
    elif kind == "inf-and-nan":
        x[0, 0], x[1, 1] = float("inf"), float("nan")
    else:
        x = (x.double() * float(kind)).to(dtype)
    return x


SPECIAL = [
    "zeros",
    "inf",
    "minus-inf",
    "nan",
    "all-nan",
    "inf-and-nan",
    "1e-12",
    "1e-30",
    "1e-37",
    "1e-40",
    "1e4",
    "3e37",
]


def correctness():
    rows = []
    for dtype in DTYPES:
        for shape in SHAPES:
            torch.manual_seed(1)
            x = torch.randn(shape, device="cuda", dtype=dtype)
            for block in BLOCKS if shape[0] * shape[1] < 10**6 else BLOCKS[:1]:
                name = f"{str(dtype)[6:]} {shape[0]}x{shape[1]} block {block[0]}x{block[1]}"
                rows.append(
                    (name, *equal(scaled_fp8_blockwise_triton(x, *block), scaled_fp8_blockwise_torch(x, *block)))
                )
        strided = torch.randn(400, 260, device="cuda", dtype=dtype).t()[3:, ::2]
        rows.append(
            (
                f"{str(dtype)[6:]} strided",
                *equal(scaled_fp8_blockwise(strided), scaled_fp8_blockwise_torch(strided, 128, 128)),
            )
        )
        for kind in SPECIAL:
            x = special(kind, dtype)
            rows.append(
                (f"{str(dtype)[6:]} {kind}", *equal(scaled_fp8_blockwise(x), scaled_fp8_blockwise_torch(x, 128, 128)))
            )
    x = torch.randn(300, 200)
    rows.append(
        (
            "reference CPU against GPU",
            *equal(
                [part.cpu() for part in scaled_fp8_blockwise_torch(x.cuda(), 128, 128)],
                scaled_fp8_blockwise_torch(x, 128, 128),
            ),
        )
    )
    wrong = [row for row in rows if row[1] or row[2] or not row[3]]
    return {
        "cases": len(rows),
        "exact": len(rows) - len(wrong),
        "differing": [
            {"case": name, "codes": codes, "scales": scales, "shapes": bool(shapes)}
            for name, codes, scales, shapes in wrong
        ],
    }


def seconds(function):
    """The median of single runs by CUDA events, after warming up; the cache is filled with other data before each."""
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    times = []
    for turn in range(ROUNDS + 10):
        flush.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        if turn >= 10:
            times.append(start.elapsed_time(end) / 1000)
    return sorted(times)[len(times) // 2]


def bandwidth():
    bf16, f32 = torch.bfloat16, torch.float32
    return [
        measured(dtype, shape) for dtype, shape in [(bf16, (16384, 16384)), (bf16, (18432, 7168)), (f32, (16384, 8192))]
    ]


def measured(dtype, shape):
    x = torch.randn(shape, device="cuda", dtype=dtype)
    y = torch.empty_like(x)
    size = x.numel() * x.element_size()
    moved = size + x.numel() + 4 * (-(-shape[0] // 128)) * (-(-shape[1] // 128))
    copy = 2 * size / seconds(lambda: y.copy_(x))
    warps = {w: moved / seconds(lambda w=w: scaled_fp8_blockwise_triton(x, 128, 128, warps=w)) for w in (4, 8, 16, 32)}
    chosen = moved / seconds(lambda: scaled_fp8_blockwise(x))
    plain = moved / seconds(lambda: scaled_fp8_blockwise_torch(x, 128, 128))
    return {
        "dtype": str(dtype)[6:],
        "shape": list(shape),
        "copy_gb_s": round(copy / 1e9, 1),
        "triton_gb_s": round(chosen / 1e9, 1),
        "of_copy": round(chosen / copy, 4),
        "by_warps_of_copy": {str(w): round(rate / copy, 4) for w, rate in warps.items()},
        "torch_gb_s": round(plain / 1e9, 1),
        "times_torch": round(chosen / plain, 2),
    }


class Method:
    """What the patch asks of vLLM's quantization method."""

    block_quant = True
    quant_config = None


def transposing(_method, layer):
    """vLLM's processing on a Hopper with CUTLASS: bare parameters, the scale transposed."""
    layer.weight = torch.nn.Parameter(layer.weight.data, requires_grad=False)
    layer.weight_scale_inv = torch.nn.Parameter(layer.weight_scale_inv.data.T.contiguous(), requires_grad=False)


def make_layer(weight):
    layer = torch.nn.Module()
    codes, scales = scaled_fp8_blockwise(weight)
    layer.weight = torch.nn.Parameter(codes, requires_grad=False)
    layer.weight_scale_inv = torch.nn.Parameter(scales, requires_grad=False)
    wrap(transposing)(METHOD, layer)
    return layer


METHOD = Method()


def forward(layer, x):
    codes, scales = scaled_fp8_blockwise(x, (1, 128))
    return fp8_linear(codes, scales, layer.weight, layer.weight_scale_inv, scale_transposed=True)


def linear():
    tokens, inner, outer = 4096, 7168, 18432
    torch.manual_seed(5)
    x = torch.randn(tokens, inner, device="cuda", dtype=torch.bfloat16)
    first, second = (torch.randn(outer, inner, device="cuda", dtype=torch.bfloat16) * 0.02 for _ in range(2))
    layer = make_layer(first)
    forward(layer, x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = forward(layer, x)
    graph.replay()
    torch.cuda.synchronize()
    before = captured.clone()
    with refit(layer):
        codes, scales = scaled_fp8_blockwise(second)
        layer.weight.data.copy_(codes)
        layer.weight_scale_inv.data.copy_(scales)
    graph.replay()
    torch.cuda.synchronize()
    fresh = forward(make_layer(second), x)
    x_codes, x_scales = scaled_fp8_blockwise(x, (1, 128))
    exact = dequantized(x_codes, x_scales, (1, 128)) @ dequantized(*scaled_fp8_blockwise(second)).t()
    full = x.float() @ second.float().t()
    kernel_error = float((fresh.float() - exact).norm() / exact.norm())
    return {
        "shape": [tokens, inner, outer],
        "graph_after_refit_equals_fresh_layer": bool(torch.equal(captured, fresh)),
        "refit_changed_output": not torch.equal(before, captured),
        "relative_error_against_dequantized_fp32": kernel_error,
        "relative_error_against_unquantized_fp32": float((fresh.float() - full).norm() / full.norm()),
        "seconds_quantize_weight": seconds(lambda: scaled_fp8_blockwise(second)),
        "seconds_quantize_activation": seconds(lambda: scaled_fp8_blockwise(x, (1, 128))),
        "seconds_fp8_linear": seconds(lambda: forward(layer, x)),
        "seconds_bf16_linear": seconds(lambda: x @ second.t()),
    }


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    document = {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "triton": triton.__version__,
        "python": platform.python_version(),
        "correctness": correctness(),
        "bandwidth": bandwidth(),
        "linear": linear(),
    }
    layer = document["linear"]
    document["ok"] = (
        not document["correctness"]["differing"]
        and layer["graph_after_refit_equals_fresh_layer"]
        and layer["refit_changed_output"]
        and layer["relative_error_against_dequantized_fp32"] < 5e-3
    )
    print(json.dumps(document))
    return 0 if document["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
