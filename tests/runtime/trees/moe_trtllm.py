"""Processes unquantized experts for the backend FLASHINFER_TRTLLM, whose conversion is stood in for by a copy.

``python moe_trtllm.py [--patched]``.
"""

from __future__ import annotations

import harness


def main():
    harness.prepare_triton()
    import torch
    from vllm.model_executor.layers.fused_moe import unquantized_fused_moe_method as module

    for name in dir(module):
        if name.startswith(("convert_to_unquantized", "convert_moe_weights", "align_trtllm")):
            setattr(module, name, lambda *args, **kwargs: tuple(a.clone() for a in tensors(args, kwargs)))
    method = module.UnquantizedFusedMoEMethod.__new__(module.UnquantizedFusedMoEMethod)
    torch.nn.Module.__init__(method)
    backend = module.UnquantizedMoeBackend
    method.unquantized_backend = backend.FLASHINFER_TRTLLM
    method._is_monolithic = True
    layer = torch.nn.Module()
    for name in ("w13_weight", "w2_weight"):
        weight = torch.nn.Parameter(torch.zeros(2, 4, 4), requires_grad=False)
        weight.weight_loader = name
        layer.register_parameter(name, weight)
    method._setup_kernel = lambda **_kwargs: None
    method.process_weights_after_loading(layer)
    harness.answer(kept=all(hasattr(weight, "weight_loader") for weight in layer.parameters()))


def tensors(args, kwargs):
    import torch

    return [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]


if __name__ == "__main__":
    main()
