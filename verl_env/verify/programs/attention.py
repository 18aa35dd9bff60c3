"""flash-attn forward, backward and with sequences of several lengths, against torch's own attention in float32."""

from __future__ import annotations

from typing import Any

import torch
from answer import give, relative_error
from flash_attn import flash_attn_func, flash_attn_varlen_func
from torch.nn.functional import scaled_dot_product_attention

BATCH, HEADS, GROUPS = 2, 8, 4


def reference(q: Any, k: Any, v: Any, *, causal: bool) -> Any:
    """Attention of (batch, length, heads, width) by torch, with grouped keys repeated."""
    k, v = (each.repeat_interleave(q.shape[2] // each.shape[2], dim=2) for each in (k, v))
    turned = (each.float().transpose(1, 2) for each in (q, k, v))
    return scaled_dot_product_attention(*turned, is_causal=causal).transpose(1, 2)


def inputs(length: int, width: int) -> list[Any]:
    """Random queries, keys and values in bfloat16."""
    shapes = [(BATCH, length, heads, width) for heads in (HEADS, GROUPS, GROUPS)]
    return [torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True) for shape in shapes]


def compare(length: int, width: int, *, causal: bool) -> tuple[float, float]:
    """The relative errors of the output and of the worst gradient."""
    mine = inputs(length, width)
    theirs = [each.detach().clone().requires_grad_() for each in mine]
    out, ref = flash_attn_func(*mine, causal=causal), reference(*theirs, causal=causal)
    weight = torch.randn_like(ref)
    (out.float() * weight).sum().backward()
    (ref * weight).sum().backward()
    gradients = max(relative_error(a.grad, b.grad) for a, b in zip(mine, theirs))  # noqa: B905 (Python 3.9)
    return relative_error(out, ref), gradients


def compare_varlen() -> float:
    """The relative error over sequences of several lengths in one call."""
    lengths, width = [17, 128, 255], 64
    ends = torch.tensor([0, *lengths], device="cuda").cumsum(0, dtype=torch.int32)
    q, k, v = (
        torch.randn(sum(lengths), heads, width, device="cuda", dtype=torch.bfloat16)
        for heads in (HEADS, GROUPS, GROUPS)
    )
    out = flash_attn_varlen_func(q, k, v, ends, ends, max(lengths), max(lengths), causal=True)
    parts = [slice(int(ends[at]), int(ends[at + 1])) for at in range(len(lengths))]
    ref = torch.cat([reference(q[None, p], k[None, p], v[None, p], causal=True)[0] for p in parts])
    return relative_error(out, ref)


def main() -> None:
    """Every combination once."""
    torch.manual_seed(0)
    errors = [compare(length, width, causal=causal) for length, width, causal in SHAPES]
    give(
        forward_error=max(forward for forward, _ in errors),
        backward_error=max(backward for _, backward in errors),
        varlen_error=compare_varlen(),
        shapes=len(errors),
    )


SHAPES = [(length, width, causal) for length in (128, 513) for width in (64, 128) for causal in (False, True)]

if __name__ == "__main__":
    main()
