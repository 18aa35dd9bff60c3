"""Which weights of a checkpoint a block-quantized model holds in FP8, and quantizing them on the way into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .quantize import scaled_fp8_blockwise
from .wrap import is_block_quantized

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

#: How vLLM merges projections where a model does not say so itself (``packed_modules_mapping``).
_PACKED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
_WEIGHT = ".weight"
_EXPERT_DEPTH = 2


def quantize_weights(weights: Iterable[tuple[str, Any]], model: Any) -> Iterator[tuple[str, Any]]:
    """The weights as an FP8 block-quantized checkpoint has them: ``x.weight`` also yields ``x.weight_scale_inv``.

    What the model does not hold in FP8, and what is FP8 already, goes through as it is.

    Args:
        weights: names and tensors of the unquantized checkpoint.
        model: the vLLM model that they are for; its quantization says which, and in which blocks.

    Yields:
        Names and tensors for the model's ``load_weights``.
    """
    chosen = Selection(model)
    for name, tensor in weights:
        block = chosen.block(name) if tensor.is_floating_point() and tensor.element_size() > 1 else None
        if block is None or tensor.dim() != 2:  # noqa: PLR2004  a matrix
            yield name, tensor
            continue
        quantized, scale = scaled_fp8_blockwise(tensor, block)
        yield name, quantized
        yield name + "_scale_inv", scale


class Selection:
    """The FP8 layers of a model, asked by the names of a checkpoint."""

    def __init__(self, model: Any) -> None:
        self._blocks = {
            name: tuple(_block_size(module.quant_method))
            for name, module in model.named_modules()
            if is_block_quantized(getattr(module, "quant_method", None))
        }
        self._merged = _merged_into(model)
        self._mapper = getattr(model, "hf_to_vllm_mapper", None)

    def block(self, name: str) -> tuple[int, int] | None:
        """The block size for a weight of the checkpoint, or None where the model does not hold it in FP8."""
        if not name.endswith(_WEIGHT):
            return None
        for candidate in self._candidates(self._mapped(name)[: -len(_WEIGHT)]):
            if candidate in self._blocks:
                return self._blocks[candidate]
        return None

    def _mapped(self, name: str) -> str:
        rename = getattr(self._mapper, "_map_name", None)
        mapped = name if rename is None else rename(name)
        return mapped if isinstance(mapped, str) and mapped.endswith(_WEIGHT) else name

    def _candidates(self, path: str) -> Iterator[str]:
        """The modules that may hold a weight: itself, what it is merged into, the experts it is one of."""
        parent, _, last = path.rpartition(".")
        prefix = parent + "." if parent else ""
        yield path
        for merged in self._merged.get(last, ()):
            yield prefix + merged
        parts = path.split(".")
        if len(parts) > _EXPERT_DEPTH and parts[-2].isdigit():
            experts = ".".join(parts[:-2])
            yield experts
            yield from (found for found in self._blocks if found.startswith(experts + "."))


def _block_size(method: Any) -> Any:
    """The block size: vLLM keeps it on the method (since 0.11) or on its configuration."""
    return getattr(method, "weight_block_size", None) or method.quant_config.weight_block_size


def _merged_into(model: Any) -> dict[str, list[str]]:
    mappings = [_PACKED]
    mappings += [getattr(module, "packed_modules_mapping", None) or {} for module in model.modules()]
    merged: dict[str, list[str]] = {}
    for mapping in mappings:
        for target, parts in mapping.items():
            for part in parts:
                if target not in merged.setdefault(part, []):
                    merged[part].append(target)
    return merged
