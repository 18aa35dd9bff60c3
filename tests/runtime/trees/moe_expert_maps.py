"""Fills an expert-parallel layer with dummy weights on a platform that says it is ROCm: are its expert maps the same?

``python moe_expert_maps.py [--patched]``. The layer registers its maps through vLLM's own method.
"""

from __future__ import annotations

from types import SimpleNamespace

import harness

EXPERTS = 4


def layer_of(torch):
    """The second of two ranks."""
    try:
        from vllm.model_executor.layers.fused_moe.expert_map_manager import determine_expert_map
        from vllm.model_executor.layers.fused_moe.routed_experts import RoutedExperts as Layer
    except ImportError:
        from vllm.model_executor.layers.fused_moe.layer import FusedMoE as Layer
        from vllm.model_executor.layers.fused_moe.layer import determine_expert_map
    layer = Layer.__new__(Layer)
    torch.nn.Module.__init__(layer)
    given = {"ep_size": 2, "ep_rank": 1, "global_num_experts": EXPERTS}
    local, experts, mask = determine_expert_map(**given, return_expert_mask=True)
    if hasattr(Layer, "update_expert_map_info"):
        layer.expert_map_manager = SimpleNamespace(
            local_num_experts=local,
            placement_strategy="linear",
            expert_map=experts,
            expert_mask=mask,
            routing_tables=tuple(torch.arange(EXPERTS) + 1 for _ in range(3)),
        )
        layer.update_expert_map_info()
        return layer
    more = {"moe_parallel_config": SimpleNamespace(**given)}
    more |= {"expert_placement_strategy": "linear", "num_fused_shared_experts": 0, "rocm_aiter_fmoe_enabled": True}
    more |= {"aiter_fmoe_shared_expert_enabled": False, "_maybe_init_expert_routing_tables": lambda: None}
    vars(layer).update(given | more)
    layer.register_buffer("_expert_map", experts.clone())
    layer.update_expert_map()
    return layer


def built_for_rocm():
    """The version of the tree, as a build for ROCm states it."""
    from verl_env_runtime import source

    stated = source._metadata_versions
    source._metadata_versions = lambda folder: [f"{version}+rocm700" for version in stated(folder)]


def main():
    harness.prepare_triton()
    built_for_rocm()
    import torch
    from vllm.model_executor.model_loader.dummy_loader import DummyModelLoader
    from vllm.platforms import current_platform

    type(current_platform).is_rocm = lambda self: True
    layer = layer_of(torch)
    before = {name: value.tolist() for name, value in layer.named_buffers()}
    DummyModelLoader.__new__(DummyModelLoader).load_weights(layer, None)
    after = {name: value.tolist() for name, value in layer.named_buffers()}
    harness.answer(before=before, after=after)


if __name__ == "__main__":
    main()
