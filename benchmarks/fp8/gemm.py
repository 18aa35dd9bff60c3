"""A block-scaled FP8 matrix product in Triton: what a linear layer does with quantized weights and activations."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK = 128


@triton.jit
def _gemm(  # noqa: PLR0913, PLR0917  a kernel takes its strides and tiles one by one
    a,
    b,
    out,
    a_scale,
    b_scale,
    M,  # noqa: N803
    N,  # noqa: N803
    K,  # noqa: N803
    b_scale_n,
    b_scale_k,
    TILE_M: tl.constexpr,  # noqa: N803
    TILE_N: tl.constexpr,  # noqa: N803
    TILE_K: tl.constexpr,  # noqa: N803
    GROUP: tl.constexpr,  # noqa: N803
):
    program = tl.program_id(0)
    tiles_m, tiles_n = tl.cdiv(M, TILE_M), tl.cdiv(N, TILE_N)
    first = (program // (GROUP * tiles_n)) * GROUP
    size = tl.minimum(tiles_m - first, GROUP)
    m = first + (program % (GROUP * tiles_n)) % size
    n = (program % (GROUP * tiles_n)) // size
    rows = m * TILE_M + tl.arange(0, TILE_M)
    columns = n * TILE_N + tl.arange(0, TILE_N)
    inner = tl.arange(0, TILE_K)
    groups = tl.cdiv(K, TILE_K)
    total = tl.zeros((TILE_M, TILE_N), dtype=tl.float32)
    for step in range(groups):
        k = step * TILE_K + inner
        left = tl.load(a + rows[:, None] * K + k[None, :], mask=(rows[:, None] < M) & (k[None, :] < K), other=0.0)
        right = tl.load(
            b + columns[None, :] * K + k[:, None], mask=(columns[None, :] < N) & (k[:, None] < K), other=0.0
        )
        left_scale = tl.load(a_scale + rows * groups + step, mask=rows < M, other=0.0)
        right_scale = tl.load(b_scale + (columns // TILE_K) * b_scale_n + step * b_scale_k, mask=columns < N, other=0.0)
        total += tl.dot(left, right) * left_scale[:, None] * right_scale[None, :]
    inside = (rows[:, None] < M) & (columns[None, :] < N)
    tl.store(out + rows[:, None] * N + columns[None, :], total.to(out.dtype.element_ty), mask=inside)


def fp8_linear(x, x_scale, weight, weight_scale, *, scale_transposed=False):
    """``x @ weight.T`` for codes with scales: x per row and 128 columns, weight per block of 128 x 128; bfloat16."""
    (m, k), n = x.shape, weight.shape[0]
    out = torch.empty((m, n), dtype=torch.bfloat16, device=x.device)
    strides = weight_scale.stride()
    along_n, along_k = (strides[1], strides[0]) if scale_transposed else strides
    grid = (triton.cdiv(m, BLOCK) * triton.cdiv(n, BLOCK),)
    _gemm[grid](
        x,
        weight,
        out,
        x_scale,
        weight_scale,
        m,
        n,
        k,
        along_n,
        along_k,
        BLOCK,
        BLOCK,
        BLOCK,
        8,
        num_warps=8,
        num_stages=3,
    )
    return out
