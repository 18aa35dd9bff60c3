"""A weight update of FP8 layers of real size through vLLM's own Triton kernels: is the output a fresh layer's?

    python benchmarks/fp8/vllm_kernels.py FP8_UTILS [--tiny]

FP8_UTILS is ``vllm/model_executor/layers/quantization/utils/fp8_utils.py`` of an unpacked vLLM wheel, 0.10 or later; of
it only the two kernels are read, so vLLM need not be installed. A linear layer and the experts of an MoE are quantized
from bfloat16, processed as vLLM does on a Hopper with CUTLASS (the scale transposed), given other weights by ``refit``
under captured CUDA graphs, and compared with layers made of these weights and with bfloat16. Prints one JSON document;
exit code 1 where something is not as it must be. ``--tiny``: small layers on a CPU, with TRITON_INTERPRET=1.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "verl_env" / "runtime" / "src")]

import torch  # noqa: E402
import triton  # noqa: E402
from verl_env_runtime.fp8.quantize import scaled_fp8_blockwise  # noqa: E402
from verl_env_runtime.fp8.refit import refit  # noqa: E402
from verl_env_runtime.fp8.wrap import wrap  # noqa: E402

BLOCK, EXPERTS = 128, 8
#: Relative to the norm of the bfloat16 output; for experts two products, one on the other.
TOLERANCE = {"linear": 0.05, "experts": 0.08}
NAMES = {
    "matmul": ("_w8a8_block_fp8_matmul", "_w8a8_triton_block_scaled_mm"),
    "quantize": ("_per_token_group_quant_fp8",),
}


def kernels(path):
    """vLLM's kernels by what they do, from its source."""
    text = path.read_text(encoding="utf-8")
    found = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    chosen = {what: next(name for name in names if name in found) for what, names in NAMES.items()}
    lines = text.splitlines()
    parts = ["import triton", "import triton.language as tl", "from triton import language"]
    for name in chosen.values():
        node = found[name]
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        parts.append("\n".join(lines[first - 1 : node.end_lineno]))
    module = Path(tempfile.mkdtemp()) / "kernels_of_vllm.py"
    module.write_text("\n\n\n".join(parts) + "\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location(module.stem, module)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return {what: getattr(loaded, name) for what, name in chosen.items()}


class Layer:
    """Matrices of one layer, held as a model holds them, and their product through vLLM's kernels."""

    def __init__(self, use, matrices):
        self.use = use
        self.model = torch.nn.Module()
        for name, matrix in matrices.items():
            part = torch.nn.Module()
            codes, scales = scaled_fp8_blockwise(matrix)
            part.weight = torch.nn.Parameter(codes, requires_grad=False)
            part.weight_scale_inv = torch.nn.Parameter(scales, requires_grad=False)
            wrap(transposing)(METHOD, part)
            setattr(self.model, name, part)

    def update(self, matrices):
        with refit(self.model):
            for name, matrix in matrices.items():
                codes, scales = scaled_fp8_blockwise(matrix)
                part = getattr(self.model, name)
                part.weight.data.copy_(codes)
                part.weight_scale_inv.data.copy_(scales)

    def product(self, name, x):
        """x in bfloat16 times one matrix, activations quantized by row and 128 columns."""
        part = getattr(self.model, name)
        (rows, inner), outer = x.shape, part.weight.shape[0]
        codes = torch.empty_like(x, dtype=torch.float8_e4m3fn)
        scales = torch.empty((rows, inner // BLOCK), dtype=torch.float32, device=x.device)
        arguments = {"y_ptr": x, "y_q_ptr": codes, "y_s_ptr": scales, "group_size": BLOCK, "y_num_columns": inner}
        arguments |= {"y_row_stride": x.stride(0), "eps": 1e-10, "fp8_min": -448.0, "fp8_max": 448.0, "BLOCK": BLOCK}
        arguments |= {"use_ue8m0": False}
        quantize = self.use["quantize"]
        known = {key: value for key, value in arguments.items() if key in quantize.arg_names}
        quantize[(rows * inner // BLOCK,)](**known, num_warps=1)
        out = torch.empty((rows, outer), dtype=torch.bfloat16, device=x.device)
        scale = part.weight_scale_inv.t()
        grid = (triton.cdiv(rows, 64) * triton.cdiv(outer, BLOCK),)
        strides = [*x.stride(), *part.weight.stride()[::-1], *out.stride(), *scales.stride(), *scale.stride()[::-1]]
        self.use["matmul"][grid](
            codes, part.weight, out, scales, scale, rows, outer, inner, BLOCK, BLOCK, *strides,
            BLOCK_SIZE_M=64, BLOCK_SIZE_N=BLOCK, BLOCK_SIZE_K=BLOCK, GROUP_SIZE_M=32, num_warps=4, num_stages=2,
        )  # fmt: skip
        return out


class Method:
    block_quant = True
    quant_config = None


METHOD = Method()


def transposing(_method, part):
    part.weight = torch.nn.Parameter(part.weight.data, requires_grad=False)
    part.weight_scale_inv = torch.nn.Parameter(part.weight_scale_inv.data.t().contiguous(), requires_grad=False)


def linear(product, x):
    return product("linear", x)


def experts(product, x):
    """Every expert on every token."""
    outputs = []
    for number in range(EXPERTS):
        gate, up = product(f"w13_{number}", x).chunk(2, dim=1)
        outputs.append(product(f"w2_{number}", torch.nn.functional.silu(gate) * up))
    return torch.stack(outputs)


def matrices(kind, hidden, inner, seed, device):
    generator = torch.Generator(device=device).manual_seed(seed)

    def made(*shape):
        random = torch.randn(shape, generator=generator, device=device)
        return (random * 0.02 * 4.0**seed).to(torch.bfloat16)

    if kind == "linear":
        return {"linear": made(inner, hidden)}
    shapes = {"w13": (2 * inner, hidden), "w2": (hidden, inner)}
    return {f"{name}_{number}": made(*shape) for number in range(EXPERTS) for name, shape in shapes.items()}


def seconds(function, *, gpu):
    if not gpu:
        return None
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    for _ in range(13):
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return sorted(times[3:])[5]


def captured(function, *, gpu):
    """What replays a function into the same output; without a GPU simply runs it again."""
    function()
    if not gpu:
        return function
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = function()

    def replay():
        graph.replay()
        torch.cuda.synchronize()
        return out

    return replay


def case(use, kind, hidden, inner, tokens, *, gpu):
    device = "cuda" if gpu else "cpu"
    forward = {"linear": linear, "experts": experts}[kind]
    first, second = (matrices(kind, hidden, inner, seed, device) for seed in (1, 2))
    x = torch.randn(tokens, hidden, device=device).to(torch.bfloat16)
    layer = Layer(use, first)
    replay = captured(lambda: forward(layer.product, x), gpu=gpu)
    before = replay().clone()
    layer.update(second)
    after = replay().clone()
    fresh = forward(Layer(use, second).product, x)
    full = forward(lambda name, given: given @ second[name].t(), x).float()
    error = float((after.float() - full).norm() / full.norm())
    tolerance = TOLERANCE[kind] * (1 if gpu else 2)  # Triton's interpreter rounds e4m3 in its own way
    return {
        "kind": kind,
        "hidden": hidden,
        "inner": inner,
        "tokens": tokens,
        "output_equals_a_fresh_layer": bool(torch.equal(after, fresh)),
        "output_changed": not torch.equal(before, after),
        "relative_error_against_bf16": error,
        "tolerance": tolerance,
        "seconds_update": seconds(lambda: layer.update(second), gpu=gpu),
        "seconds_forward": seconds(replay, gpu=gpu),
        "ok": bool(torch.equal(after, fresh)) and not torch.equal(before, after) and error < tolerance,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("fp8_utils", type=Path)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    use, gpu = kernels(args.fp8_utils), not args.tiny
    sizes = [("linear", 256, 384, 16), ("experts", 256, 128, 4)]
    if gpu:
        sizes = [("linear", 4096, 14336, 4096), ("linear", 7168, 18432, 512), ("experts", 4096, 1536, 512)]
    done = [case(use, *size, gpu=gpu) for size in sizes]
    name = torch.cuda.get_device_name() if gpu else "cpu"
    print(json.dumps({"gpu": name, "torch": torch.__version__, "triton": triton.__version__, "cases": done}))
    return 0 if all(one["ok"] for one in done) else 1


if __name__ == "__main__":
    sys.exit(main())
