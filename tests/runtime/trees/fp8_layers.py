"""Loads an FP8 block-quantized layer, processes it as vLLM does, loads other weights, and compares with a fresh layer.

``python fp8_layers.py KINDS LAYOUTS [--patched] [--bare]``: kinds are linear and moe, layouts plain, cutlass, deepgemm
and flashinfer, with commas; one answer each. ``--bare`` loads the second weights without ``refit``, as a trainer that
knows nothing of it would, but with the loading classes put back. ``--moved`` puts the weights elsewhere in between.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import sys
import types

import harness

HIDDEN, INNER, EXPERTS, TOKENS = 256, 384, 4, 16
BLOCK = 128


class Lenient(types.SimpleNamespace):
    """A model configuration that says no to every question it does not know."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return False


def fp8_config():
    from vllm.model_executor.layers.quantization.fp8 import Fp8Config

    return Fp8Config(is_checkpoint_fp8_serialized=True, activation_scheme="dynamic", weight_block_size=[BLOCK, BLOCK])


def new_layout(wq, ws):
    """Stands for DeepGEMM's conversion: scales become powers of two, codes follow, scales are transposed."""
    import torch

    exact = torch.exp2(torch.ceil(torch.log2(ws)))
    ratio = (ws / exact).repeat_interleave(BLOCK, -2).repeat_interleave(BLOCK, -1)
    return (wq.float() * ratio).to(torch.float8_e4m3fn), exact.transpose(-1, -2).contiguous()


def set_layout(layout):
    """Makes this vLLM choose the layout that it would choose on such a machine."""
    from vllm.model_executor.layers.quantization import fp8
    from vllm.model_executor.layers.quantization.utils import fp8_utils

    modules = [fp8, fp8_utils]
    with contextlib.suppress(ImportError):
        from vllm.utils import deep_gemm

        modules.append(deep_gemm)

    def put(name, value):
        for module in modules:
            if hasattr(module, name):
                setattr(module, name, value)

    put("cutlass_block_fp8_supported", lambda: layout == "cutlass")
    put("should_use_deepgemm_for_fp8_linear", lambda *a, **k: layout == "deepgemm")
    put("is_deep_gemm_supported", lambda: layout == "deepgemm")
    put("is_deep_gemm_e8m0_used", lambda: layout == "deepgemm")
    put("deepgemm_post_process_fp8_weight_block", lambda wq, ws, **k: new_layout(wq, ws))

    def in_place(weight, scale, block):
        new_weight, new_scale = new_layout(weight, scale)
        weight.copy_(new_weight)
        scale.copy_(new_scale.transpose(-1, -2))

    put("requant_weight_ue8m0_inplace", in_place)
    choose_kernels(layout)


def choose_kernels(layout):
    """From 0.20 on kernels are classes, which ask for a GPU before they are chosen: chosen here."""
    from vllm.model_executor.layers.quantization import fp8

    folder = "vllm.model_executor.kernels.linear"
    try:
        linear, triton = importlib.import_module(folder), importlib.import_module(folder + ".scaled_mm.triton")
        kernel = triton.TritonFp8BlockScaledMMKernel
    except (ImportError, AttributeError):
        return
    if layout == "cutlass":
        kernel = importlib.import_module(folder + ".scaled_mm.cutlass").CutlassFp8BlockScaledMMKernel
    if layout == "deepgemm":
        module = importlib.import_module(folder + ".scaled_mm.deep_gemm")
        module.is_deep_gemm_supported = lambda: True
        module.deepgemm_post_process_fp8_weight_block = lambda wq, ws, **_: new_layout(wq, ws)
        kernel = module.DeepGemmFp8BlockScaledMMKernel
    kernel.is_supported = classmethod(lambda cls, *_: (True, None))
    kernel.can_implement = classmethod(lambda cls, *_: (True, None))
    fp8.init_fp8_linear_kernel = functools.partial(linear.init_fp8_linear_kernel, force_kernel=kernel)
    backends = {"cutlass": "VLLM_CUTLASS", "deepgemm": "DEEPGEMM", "flashinfer": "FLASHINFER_CUTLASS"}
    oracle = importlib.import_module("vllm.model_executor.layers.fused_moe.oracle.fp8")
    backend = oracle.Fp8MoeBackend[backends.get(layout, "TRITON")]
    fp8.select_fp8_moe_backend = lambda **_: (backend, object)
    fp8.make_fp8_moe_kernel = lambda **_: None


def build_linear():
    import torch
    from vllm.model_executor.layers.linear import MergedColumnParallelLinear

    class Model(torch.nn.Module):
        packed_modules_mapping = {"gate_up_proj": ["gate_proj", "up_proj"]}  # noqa: RUF012

        def __init__(self):
            super().__init__()
            self.gate_up_proj = MergedColumnParallelLinear(
                HIDDEN, [INNER, INNER], bias=False, quant_config=fp8_config(), prefix="gate_up_proj"
            )

        def load_weights(self, weights):
            parameters = dict(self.named_parameters())
            for name, tensor in weights:
                projection, _, rest = name.partition(".")
                names = ["gate_up_proj." + rest, "gate_up_proj." + rest.removesuffix("_inv")]  # verl renames it
                parameter = next(parameters[name] for name in names if name in parameters)
                parameter.weight_loader(parameter, tensor, ["gate_proj", "up_proj"].index(projection))

    return Model()


def build_moe(layout):
    import torch
    from vllm.model_executor.layers.fused_moe import layer as moe

    options = {}

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = getattr(moe, "FusedMoE", None or moe.__dict__.get("FusedMoEFactory"))(
                num_experts=EXPERTS,
                top_k=2,
                hidden_size=HIDDEN,
                intermediate_size=INNER,
                params_dtype=torch.bfloat16,
                renormalize=True,
                quant_config=fp8_config(),
                prefix=f"experts{build_moe.count}",
                **options,
            )
            build_moe.count += 1

        packed_modules_mapping = {}  # noqa: RUF012

        def load_weights(self, weights):
            parameters = {name.rpartition(".")[2]: value for name, value in self.named_parameters()}
            for name, tensor in weights:
                _, expert, projection, kind = name.split(".")
                shard = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}[projection]
                parameter = parameters[("w2_" if shard == "w2" else "w13_") + kind]
                parameter.weight_loader(parameter, tensor, name, shard_id=shard, expert_id=int(expert))

    model = Model()
    for module in model.modules():
        method = getattr(module, "quant_method", None)
        if method is not None and layout == "deepgemm":
            method.allow_deep_gemm = True
        if layout == "flashinfer" and hasattr(method, "flashinfer_moe_enabled"):
            method.flashinfer_moe_enabled = True
        if layout == "flashinfer" and hasattr(method, "flashinfer_moe_backend"):
            method.flashinfer_moe_backend = "CUTLASS"
    return model


build_moe.count = 0


def weights(kind, seed):
    """High-precision weights by checkpoint name."""
    import torch

    torch.manual_seed(seed)
    if kind == "linear":
        return {f"{name}.weight": torch.randn(INNER, HIDDEN) * 4.0**seed for name in ("gate_proj", "up_proj")}
    shapes = {"gate_proj": (INNER, HIDDEN), "up_proj": (INNER, HIDDEN), "down_proj": (HIDDEN, INNER)}
    return {
        f"experts.{expert}.{name}.weight": torch.randn(shape) * 4.0**seed
        for expert in range(EXPERTS)
        for name, shape in shapes.items()
    }


def process(model):
    for module in model.modules():
        method = getattr(module, "quant_method", None)
        if method is not None:
            method.process_weights_after_loading(module)


def built(kind, layout, seed):
    import verl_env_runtime

    model = build_linear() if kind == "linear" else build_moe(layout)
    with contextlib.suppress(ImportError):
        from vllm.model_executor.model_loader.reload import record_metadata_for_reloading

        record_metadata_for_reloading(model)
    model.load_weights(verl_env_runtime.quantize_weights(weights(kind, seed).items(), model))
    process(model)
    return model


def holder(model):
    """The layer that has the weights."""
    return next(module for module in model.modules() if getattr(module, "quant_method", None) and module._parameters)


def inputs():
    import torch

    return torch.randn(TOKENS, HIDDEN, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)


def output(model, kind):
    """What the layer makes of the inputs: of a linear layer through vLLM's own method."""
    import fp8_kernels

    layer = holder(model)
    if kind == "linear":
        return fp8_kernels.linear(layer, inputs())
    return fp8_kernels.experts(layer, inputs(), gate_first=not swapped(layer.quant_method))


def swapped(method):
    """Whether the kernel of the experts wants the up projection before the gate."""
    backend = getattr(getattr(method, "fp8_backend", None), "name", "")
    chosen = getattr(method, "flashinfer_moe_enabled", None) or getattr(method, "flashinfer_moe_backend", None)
    return bool(chosen) or backend.startswith("FLASHINFER")


def follows(layer):
    """Whether the scales that the kernels were given apart from the layer are what the layer has now."""
    import torch

    config = getattr(layer.quant_method, "moe_quant_config", None)
    scales = {"w1_scale": "w13_weight_scale_inv", "w2_scale": "w2_weight_scale_inv"}
    return config is None or all(
        torch.equal(getattr(config, key), getattr(layer, name)) for key, name in scales.items()
    )


def expected(kind, seed):
    """The same from the weights in high precision."""
    import torch

    given = {name: value.float() for name, value in weights(kind, seed).items()}
    x = inputs().float()
    if kind == "linear":
        return x @ torch.cat([given["gate_proj.weight"], given["up_proj.weight"]]).t()
    parts = []
    for expert in range(EXPERTS):
        gate, up, down = (given[f"experts.{expert}.{name}_proj.weight"] for name in ("gate", "up", "down"))
        parts.append((torch.nn.functional.silu(x @ gate.t()) * (x @ up.t())) @ down.t())
    return torch.stack(parts)


def distance(got, wanted):
    """The difference of two outputs, relative to the second."""
    return float((got.float() - wanted.float()).norm() / wanted.float().norm())


def digest(named):
    """What tells parameters with other names or bits apart."""
    import torch

    parts = hashlib.sha256()
    for name in sorted(named):
        parts.update(name.encode() + named[name].contiguous().view(torch.uint8).numpy().tobytes())
    return parts.hexdigest()[:16]


def tensors(model):
    return {name: value.data for name, value in model.named_parameters()}


def update(model, new):
    """Loads weights in high precision into a model that has been processed."""
    import verl_env_runtime

    if "--bare" not in sys.argv:
        verl_env_runtime.load_quantized(model, new.items())
        return
    quantized = list(verl_env_runtime.quantize_weights(new.items(), model))
    for parameter in model.parameters():
        if hasattr(parameter, "subclass_type"):
            parameter.__class__ = parameter.subclass_type
    model.load_weights(quantized)


def run(kind, layout):
    import torch

    model = built(kind, layout, 1)
    first = output(model, kind)
    for parameter in model.parameters() if "--moved" in sys.argv else ():
        parameter.data = parameter.data.clone()  # as after an offload and back
    before = tensors(model)
    held = dict(model.named_parameters())
    update(model, weights(kind, 2))
    again = built(kind, layout, 2)
    fresh, now = tensors(again), tensors(model)
    new = output(model, kind)
    classes = sorted({type(value).__name__ for value in dict(model.named_parameters()).values()})
    old = tensors(built(kind, layout, 1))
    harness.answer(
        kind=kind,
        layout=layout,
        different=[
            name
            for name in fresh
            if name not in now
            or fresh[name].shape != now[name].shape
            or not torch.equal(fresh[name].contiguous().view(torch.uint8), now[name].contiguous().view(torch.uint8))
        ],
        changed=all(not torch.equal(now[name].float(), old[name].float()) for name in now),
        same_storage=all(before[name].data_ptr() == now[name].data_ptr() for name in now),
        same_objects=all(held[name] is value for name, value in model.named_parameters()),
        same_output=torch.equal(new, output(again, kind)),
        errors=[distance(first, expected(kind, 1)), distance(new, expected(kind, 2))],
        follows=follows(holder(model)),
        classes=classes,
        digest=digest(now),
        shapes={name: list(value.shape) for name, value in now.items()},
    )


def main():
    harness.prepare_triton()
    import torch
    from vllm.config import DeviceConfig, VllmConfig, set_current_vllm_config

    torch.set_default_dtype(torch.bfloat16)
    config = VllmConfig(device_config=DeviceConfig("cpu"))
    if config.model_config is None:
        with contextlib.suppress(Exception):
            config.model_config = Lenient(dtype=torch.bfloat16, hf_config=Lenient(model_type="none"))
    with set_current_vllm_config(config):
        harness.start_world()
        harness.prepare_kernels()
        for kind in sys.argv[1].split(","):
            for layout in sys.argv[2].split(","):
                set_layout(layout)
                try:
                    run(kind, layout)
                except Exception as error:  # noqa: BLE001  the answer of a vLLM that cannot do it
                    harness.answer(kind=kind, layout=layout, error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
