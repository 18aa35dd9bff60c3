"""Quantizing a matrix to FP8 e4m3 with one scale per block: the reference in torch, and the choice of the kernel.

For each block of ``rows x columns`` elements (the last ones are filled up with zeros)::

    s       = 448 / max|x|                       in float32
    q       = e4m3fn(clamp(x * s, -448, 448))    rounded to nearest, ties to even
    descale = 1 / s                              so that x is about q * descale

A block whose maximum is zero, infinite, or so small that 1/s would be no normal number has s = 1: zeros stay zeros and
an infinity becomes 448. A NaN makes its whole block NaN, scale included: it must not vanish. Multiplication is used
instead of division by the scale because CPU and GPU then give the same bits.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: The largest finite value of float8_e4m3fn.
FP8_MAX = 448.0
#: Above this factor, 1/s is below the smallest normal float32.
FACTOR_MAX = 2.0**126
#: Set to anything but 0: the torch version is used on GPUs too. verl's variable, so that one switch serves both.
NO_TRITON = "VERL_DISABLE_TRITON_FP8"


def scaled_fp8_blockwise(data_hp: Any, weight_block_size: Sequence[int] = (128, 128)) -> tuple[Any, Any]:
    """Quantizes a matrix of shape (M, N) with one scale per block of (bm, bn).

    Args:
        data_hp: a matrix of any floating dtype and strides, on any device.
        weight_block_size: rows and columns of a block.

    Returns:
        The matrix as float8_e4m3fn, (M, N), contiguous; and the scales that give it back by multiplication, float32,
        (ceil(M/bm), ceil(N/bn)): vLLM's ``weight_scale_inv``.

    Raises:
        ValueError: the data is no matrix of floats, or the block sizes are not two positive numbers.
    """
    rows, columns = _checked(data_hp, weight_block_size)
    data_hp = data_hp.detach()
    if data_hp.is_cuda and data_hp.numel() and _triton_usable(rows, columns):
        from .kernel import scaled_fp8_blockwise_triton  # noqa: PLC0415  imports triton

        return scaled_fp8_blockwise_triton(data_hp, rows, columns)
    return scaled_fp8_blockwise_torch(data_hp, rows, columns)


def scaled_fp8_blockwise_torch(data: Any, rows: int, columns: int) -> tuple[Any, Any]:
    """The reference: the formula above, in torch."""
    import torch  # noqa: PLC0415  only with data at hand

    height, width = data.shape
    down, across = -(-height // rows), -(-width // columns)
    padded = torch.nn.functional.pad(data.float(), (0, across * columns - width, 0, down * rows - height))
    blocks = padded.view(down, rows, across, columns)
    peak = blocks.abs().amax(dim=(1, 3)) if padded.numel() else padded.new_zeros(down, across)
    factor = torch.full_like(peak, FP8_MAX) / peak  # a number over a tensor would be rounded twice
    factor = torch.where((factor == 0) | (factor > FACTOR_MAX), torch.ones_like(factor), factor)
    scaled = (blocks * factor[:, None, :, None]).clamp(-FP8_MAX, FP8_MAX)
    quantized = scaled.view(down * rows, across * columns)[:height, :width].to(torch.float8_e4m3fn)
    return quantized.contiguous(), factor.reciprocal()


def _checked(data: Any, block: Sequence[int]) -> tuple[int, int]:
    if data.dim() != 2 or not data.is_floating_point():  # noqa: PLR2004
        message = f"a matrix of floats is needed, not {data.dtype} of shape {tuple(data.shape)}"
        raise ValueError(message)
    if len(block) != 2 or min(block) < 1:  # noqa: PLR2004
        message = f"a block size is two positive numbers, not {list(block)}"
        raise ValueError(message)
    return int(block[0]), int(block[1])


def _triton_usable(rows: int, columns: int) -> bool:
    """The kernel takes blocks whose sides are powers of two; the rest, and GPUs without Triton, go to torch."""
    if os.environ.get(NO_TRITON, "0") not in {"", "0"} or rows & (rows - 1) or columns & (columns - 1):
        return False
    from importlib.util import find_spec  # noqa: PLC0415

    return find_spec("triton") is not None
