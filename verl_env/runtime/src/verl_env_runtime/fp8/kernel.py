"""Quantizing to FP8 in one pass on the GPU: a program per block reads it once and writes codes and scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from typing import Any

_WARPS = 8
_MAX = tl.constexpr(448.0)
_FACTOR_MAX = tl.constexpr(2.0**126)


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _quantize_block(  # type: ignore[no-untyped-def]  # noqa: ANN202, PLR0913, PLR0917
    source,  # noqa: ANN001
    codes,  # noqa: ANN001
    scales,  # noqa: ANN001
    height,  # noqa: ANN001
    width,  # noqa: ANN001
    row_stride,  # noqa: ANN001
    column_stride,  # noqa: ANN001
    across,  # noqa: ANN001
    ROWS: tl.constexpr,  # noqa: N803
    COLUMNS: tl.constexpr,  # noqa: N803
):
    program = tl.program_id(0).to(tl.int64)
    row = (program // across) * ROWS + tl.arange(0, ROWS)[:, None]
    column = (program % across) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (row < height) & (column < width)
    x = tl.load(source + row * row_stride + column * column_stride, mask=inside, other=0.0).to(tl.float32)
    peak = tl.max(tl.max(tl.abs(x), 1), 0)
    nans = tl.sum(tl.sum((x != x).to(tl.int32), 1), 0)  # noqa: PLR0124  the maximum passes over NaN
    factor = tl.div_rn(_MAX, peak)
    factor = tl.where((factor == 0.0) | (factor > _FACTOR_MAX), 1.0, factor)
    factor = tl.where(nans > 0, float("nan"), factor)
    y = x * factor
    y = tl.where(y > _MAX, _MAX, tl.where(y < -_MAX, -_MAX, y))
    tl.store(codes + row * width + column, y.to(tl.float8e4nv), mask=inside)
    tl.store(scales + program, tl.div_rn(1.0, factor))


def scaled_fp8_blockwise_triton(data: Any, rows: int, columns: int, *, warps: int = _WARPS) -> tuple[Any, Any]:
    """The kernel for a matrix on a GPU; as ``scaled_fp8_blockwise_torch``, bit for bit but for the codes of NaN.

    ``rows`` and ``columns`` must be powers of two.
    """
    height, width = data.shape
    down, across = triton.cdiv(height, rows), triton.cdiv(width, columns)
    codes = torch.empty((height, width), dtype=torch.float8_e4m3fn, device=data.device)
    scales = torch.empty((down, across), dtype=torch.float32, device=data.device)
    with torch.cuda.device(data.device):
        _quantize_block[(down * across,)](
            data, codes, scales, height, width, data.stride(0), data.stride(1), across, rows, columns, num_warps=warps
        )
    return codes, scales
