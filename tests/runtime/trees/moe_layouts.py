"""Loads unquantized experts a second time where the kernel's layout is not the checkpoint's; one answer a case.

``python moe_layouts.py CASES [--patched]``: pairs like ``cutlass:plain`` with commas, of FlashInfer's backends
(cutlass, trtllm) and ways: plain (loads alone), processed (and vLLM's processing after the last, as verl does), refit;
part and raises: a refit of one expert alone, and one with an exception in it. TRTLLM's conversion needs a GPU: one of
its shape stands in for it. ``embedding:refit``: an embedding whose rows are padded, which is no part.
"""

from __future__ import annotations

import importlib
import sys
from unittest import mock

import harness

EXPERTS, HIDDEN, INNER = 2, 256, 128
MOE = "vllm.model_executor.layers.fused_moe."


def main():
    harness.prepare_triton()
    import torch

    torch.set_default_dtype(torch.bfloat16)
    torch.cuda.Stream = mock.MagicMock()
    modules = prepare()
    for case in sys.argv[1].split(","):
        backend, way = case.split(":")
        found = {"case": case}
        try:
            found.update(padded() if backend == "embedding" else second_load(modules, backend, way))
        except Exception as error:  # noqa: BLE001
            found["error"] = f"{type(error).__name__}: {error}"
        harness.answer(**found)


def prepare():
    from vllm.config import DeviceConfig, VllmConfig, set_current_vllm_config

    config = set_current_vllm_config(VllmConfig(device_config=DeviceConfig(device="cpu")))
    config.__enter__()
    prepare.config = config
    harness.start_world()
    layer = importlib.import_module(MOE + "layer")
    method = importlib.import_module(MOE + "unquantized_fused_moe_method")
    oracle = importlib.import_module(MOE + "oracle.unquantized")
    for module in (method, oracle):
        name = "convert_moe_weights_to_flashinfer_trtllm_block_layout"
        if hasattr(module, name):
            setattr(module, name, convert)
        if hasattr(module, "make_unquantized_moe_kernel"):
            module.make_unquantized_moe_kernel = lambda *_args, **_kwargs: mock.MagicMock()
    return layer, method, oracle


def convert(_cache, w13, w2, **_options):
    """Rows in another order and columns in blocks; from 0.28 on vLLM takes the result in the memory it gave."""
    import torch

    found = tuple(w.flip(1).reshape(w.shape[0], w.shape[1], -1, 64).permute(0, 2, 1, 3).contiguous() for w in (w13, w2))
    with torch.no_grad():
        if _options:
            for weight, made in zip((w13, w2), found, strict=True):
                weight.copy_(made.view(weight.shape))
    return found


def experts(modules, prefix, backend):
    import torch

    layer, _, oracle = modules
    make = getattr(layer, "FusedMoEFactory", None) or layer.FusedMoE
    options = {"num_experts": EXPERTS, "top_k": 1, "hidden_size": HIDDEN, "intermediate_size": INNER}
    options |= {"params_dtype": torch.bfloat16, "renormalize": True, "tp_size": 1, "dp_size": 1, "prefix": prefix}
    whole = make(**options)
    found = getattr(whole, "routed_experts", whole)
    method = found.quant_method
    method.unquantized_backend = getattr(oracle.UnquantizedMoeBackend, "FLASHINFER_" + backend.upper())
    method.experts_cls = object
    type(method)._init_moe_kernel = lambda self, _layer: setattr(self, "moe_kernel", mock.MagicMock())
    return whole, found


def load(layer, seed, experts=EXPERTS):
    import torch

    generator = torch.Generator().manual_seed(seed)
    for expert in range(experts):
        for shard, name, shape in (("w1", "w13", (INNER, HIDDEN)), ("w3", "w13", (INNER, HIDDEN)), ("w2", "w2", None)):
            data = torch.randn(*(shape or (HIDDEN, INNER)), generator=generator, dtype=torch.float32).bfloat16()
            weight = getattr(layer, name + "_weight")
            weight.weight_loader(weight, data, f"experts.{expert}.{name}_weight", shard_id=shard, expert_id=expert)


def second_load(modules, backend, way):
    import torch
    import verl_env_runtime

    whole, layer = experts(modules, f"{backend}.{way}.experts", backend)
    importlib.import_module("vllm.model_executor.model_loader.reload").record_metadata_for_reloading(whole)
    load(layer, 1)
    layer.quant_method.process_weights_after_loading(layer)
    place = layer.w13_weight.data_ptr()
    equal, raised = [], None
    if way in {"part", "raises"}:
        old = [value.data.clone() for value in layer.parameters()]
        try:
            with verl_env_runtime.refit(whole):
                load(layer, 2, EXPERTS if way == "raises" else 1)
                if way == "raises":
                    raise KeyError(way)  # noqa: TRY301
        except Exception as error:  # noqa: BLE001
            raised = type(error).__name__
        equal.append(all(torch.equal(a, b.data) for a, b in zip(old, layer.parameters(), strict=True)))
        way = "refit"
    for seed in (2, 3):
        if way == "refit":
            with verl_env_runtime.refit(whole):
                load(layer, seed)
        else:
            load(layer, seed)
        if way == "processed":
            layer.quant_method.process_weights_after_loading(layer)
        _, fresh = experts(modules, f"{backend}.{way}.{seed}.experts", backend)
        load(fresh, seed)
        fresh.quant_method.process_weights_after_loading(fresh)
        names = ("w13_weight", "w2_weight")
        equal.append(all(torch.equal(getattr(layer, name).data, getattr(fresh, name).data) for name in names))
    return {"equal": equal, "same_storage": place == layer.w13_weight.data_ptr(), "raised": raised}


def padded():
    import torch
    import verl_env_runtime
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    layer = torch.nn.Sequential(VocabParallelEmbedding(100, 32))
    importlib.import_module("vllm.model_executor.model_loader.reload").record_metadata_for_reloading(layer)
    data = torch.arange(3200).reshape(100, 32).bfloat16()
    layer[0].weight.weight_loader(layer[0].weight, data)
    with verl_env_runtime.refit(layer):
        layer[0].weight.weight_loader(layer[0].weight, data + 1)
    return {"equal": [torch.equal(layer[0].weight[:100], data + 1)], "rows": layer[0].weight.shape[0]}


if __name__ == "__main__":
    main()
