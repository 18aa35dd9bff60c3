"""Makes one model out of another: in FP8 blocks, or with a LoRA adapter and with that adapter merged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

BLOCK = 128
RANK, ALPHA = 8, 16
ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PEFT = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": list(ADAPTED), "bias": "none"}


def weights_of(model: str) -> dict[str, Any]:
    """The tensors of a model by name."""
    return {
        name: tensor for file in sorted(Path(model).glob("*.safetensors")) for name, tensor in load_file(file).items()
    }


def to_fp8(model: str, directory: str) -> str:
    """The model with its linear layers as FP8 codes and a scale for each block of 128 by 128; gives the directory."""
    weights, kept = {}, []
    for name, tensor in weights_of(model).items():
        if _is_quantized(name, tensor):
            codes, scales = quantize(tensor)
            weights[name], weights[f"{name}_scale_inv"] = codes, scales
        else:
            weights[name] = tensor
            kept += [name[: -len(".weight")]] if tensor.dim() == 2 else []  # noqa: PLR2004
    how = {
        "quant_method": "fp8",
        "fmt": "e4m3",
        "activation_scheme": "dynamic",
        "weight_block_size": [BLOCK, BLOCK],
        "modules_to_not_convert": kept,
    }
    return _write(model, directory, weights, quantization_config=how)


def quantize(tensor: Any) -> tuple[Any, Any]:
    """Codes and inverse scales of a matrix, as checkpoints in this format have them."""
    rows, columns = (size // BLOCK for size in tensor.shape)
    blocks = tensor.float().reshape(rows, BLOCK, columns, BLOCK)
    scales = blocks.abs().amax(dim=(1, 3)) / torch.finfo(torch.float8_e4m3fn).max
    codes = (blocks / scales[:, None, :, None]).to(torch.float8_e4m3fn)
    return codes.reshape(tensor.shape), scales


def adapter_for(model: str) -> dict[str, Any]:
    """A random adapter of the model, its tensors named as PEFT names them."""
    torch.manual_seed(2)
    adapter = {}
    for name, tensor in weights_of(model).items():
        layer = name[: -len(".weight")]
        if layer.rsplit(".", 1)[-1] in ADAPTED:
            out, into = tensor.shape
            adapter[f"base_model.model.{layer}.lora_A.weight"] = torch.randn(RANK, into, dtype=tensor.dtype) * 0.05
            adapter[f"base_model.model.{layer}.lora_B.weight"] = torch.randn(out, RANK, dtype=tensor.dtype) * 0.05
    return adapter


def merged(model: str, adapter: dict[str, Any], directory: str) -> str:
    """The model with an adapter in its weights; gives the directory."""
    weights = weights_of(model)
    for name, down in adapter.items():
        if name.endswith(".lora_A.weight"):
            up = adapter[name.replace(".lora_A.", ".lora_B.")]
            layer = name[len("base_model.model.") : -len(".lora_A.weight")] + ".weight"
            change = up.float() @ down.float() * (ALPHA / RANK)
            weights[layer] = (weights[layer].float() + change).to(weights[layer].dtype)
    return _write(model, directory, weights)


def _is_quantized(name: str, tensor: Any) -> bool:
    return (
        name.endswith("_proj.weight") and tensor.dim() == 2 and all(size % BLOCK == 0 for size in tensor.shape)  # noqa: PLR2004
    )


def _write(model: str, directory: str, weights: dict[str, Any], **more: Any) -> str:
    shutil.copytree(model, directory, ignore=shutil.ignore_patterns("*.safetensors*"), dirs_exist_ok=True)
    config = Path(directory) / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text(encoding="utf-8")), **more}), encoding="utf-8")
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(contiguous, str(Path(directory) / "model.safetensors"), metadata={"format": "pt"})
    return directory
