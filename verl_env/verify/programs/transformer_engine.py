"""TransformerEngine's linear layer, LayerNorm and attention against torch, and FP8 where the GPU has it."""

from __future__ import annotations

from typing import Any

import torch
import transformer_engine.pytorch as te
from answer import give, relative_error
from torch.nn import functional
from transformer_engine.common.recipe import DelayedScaling

#: The first GPUs with FP8 arithmetic.
FP8_FROM = (8, 9)
WIDTH, ROWS = 512, 256


def linear_error(*, fp8: bool) -> float:
    """The relative error of a linear layer."""
    layer = te.Linear(WIDTH, WIDTH, params_dtype=torch.bfloat16).cuda()
    given = torch.randn(ROWS, WIDTH, device="cuda", dtype=torch.bfloat16)
    with torch.no_grad(), te.fp8_autocast(enabled=fp8, fp8_recipe=DelayedScaling() if fp8 else None):
        layer(given)
        out = layer(given)
    return relative_error(out, functional.linear(given.float(), layer.weight.float(), layer.bias.float()))


def norm_error() -> float:
    """The relative error of LayerNorm."""
    layer = te.LayerNorm(WIDTH, params_dtype=torch.bfloat16).cuda()
    given = torch.randn(ROWS, WIDTH, device="cuda", dtype=torch.bfloat16)
    ref = functional.layer_norm(given.float(), (WIDTH,), layer.weight.float(), layer.bias.float(), layer.eps)
    return relative_error(layer(given), ref)


def attention_error() -> float:
    """The relative error of causal attention."""
    layer = te.DotProductAttention(8, 64, qkv_format="bshd", attn_mask_type="causal").cuda()
    q, k, v = (torch.randn(2, 128, 8, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    turned: list[Any] = [each.float().transpose(1, 2) for each in (q, k, v)]
    ref = functional.scaled_dot_product_attention(*turned, is_causal=True).transpose(1, 2)
    return relative_error(layer(q, k, v).view_as(ref), ref)


def main() -> None:
    """All of it."""
    torch.manual_seed(0)
    figures = {
        "linear_error": linear_error(fp8=False),
        "norm_error": norm_error(),
        "attention_error": attention_error(),
    }
    if torch.cuda.get_device_capability() >= FP8_FROM:
        figures["fp8_error"] = linear_error(fp8=True)
    give(**figures)


if __name__ == "__main__":
    main()
