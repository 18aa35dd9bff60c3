"""Loads a tiny MoE model with vLLM's own loader, loads other weights, and compares it with one built with these.

``python moe_models.py MODEL [--patched]``; MODEL is a class of transformers' configurations.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import harness

SMALL = {
    "vocab_size": 64,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "torch_dtype": "float32",
}
MODELS = {
    "Qwen2Moe": {"intermediate_size": 64, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
    | {"num_experts": 4, "num_experts_per_tok": 2, "decoder_sparse_step": 1},
    "Qwen3Moe": {"intermediate_size": 64, "moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}
    | {"decoder_sparse_step": 1, "head_dim": 16},
    "Mixtral": {"intermediate_size": 32, "num_local_experts": 4, "num_experts_per_tok": 2},
    "Olmoe": {"intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2},
    "DeepseekV3": {"intermediate_size": 64, "moe_intermediate_size": 32, "n_routed_experts": 4, "n_shared_experts": 1}
    | {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1, "moe_layer_freq": 1}
    | {"q_lora_rank": 32, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16}
    | {"topk_method": "noaux_tc", "scoring_func": "sigmoid", "num_nextn_predict_layers": 0},
}


def write_checkpoint(folder, name, seed):
    import torch
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, name + "Config")(**{**SMALL, **MODELS[name]})
    model = getattr(transformers, name + "ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    model.save_pretrained(folder)
    return folder


def build(folder):
    from vllm.config import DeviceConfig, LoadConfig, ModelConfig, VllmConfig, set_current_vllm_config
    from vllm.model_executor.model_loader import get_model

    model_config = ModelConfig(
        model=str(folder),
        task="auto",
        tokenizer=str(folder),
        tokenizer_mode="auto",
        trust_remote_code=False,
        dtype="float32",
        seed=0,
        skip_tokenizer_init=True,
    )
    config = VllmConfig(
        model_config=model_config, load_config=LoadConfig(load_format="safetensors"), device_config=DeviceConfig("cpu")
    )
    with set_current_vllm_config(config):
        harness.start_world()
        return get_model(vllm_config=config)


def tensors(folder):
    from safetensors.torch import load_file

    for path in sorted(Path(folder).glob("*.safetensors")):
        yield from load_file(path).items()


def main():
    import torch

    harness.prepare_triton()
    name = sys.argv[1]
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        model = build(write_checkpoint(first, name, 1))
        write_checkpoint(second, name, 2)
        held = dict(model.named_parameters())
        restored = None
        if "--restore" in sys.argv:
            import verl_env_runtime

            restored = verl_env_runtime.restore_expert_loaders(model)
        try:
            model.load_weights(tensors(second))
        except Exception as error:  # noqa: BLE001
            harness.answer(model=type(model).__name__, error=f"{type(error).__name__}: {error}")
            return
        fresh = dict(build(second).named_parameters())
        now = dict(model.named_parameters())
        different = [key for key in fresh if not torch.equal(fresh[key], now[key])]
        same = all(held[key] is now[key] for key in now)
        harness.answer(
            model=type(model).__name__, different=different, tensors=len(now), same_objects=same, restored=restored
        )


if __name__ == "__main__":
    main()
