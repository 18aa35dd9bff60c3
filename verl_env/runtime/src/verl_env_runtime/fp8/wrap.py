"""``fp8-block-quant``: vLLM's own processing of FP8 layers runs, and what a second load needs is kept."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from verl_env_runtime import journal

from .layout import record_of, remember, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def wrap(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``process_weights_after_loading`` that keeps the record of a block-quantized layer.

    Only the first processing is ours to follow: a later one belongs to a refit of vLLM's or verl's, which has put
    parameters of its own into the layer and takes them out again.
    """

    @functools.wraps(original)
    def process_weights_after_loading(self: Any, layer: Any) -> Any:
        if not is_block_quantized(self) or record_of(layer) is not None:
            return original(self, layer)
        before = snapshot(layer)
        result = original(self, layer)
        try:
            remember(layer, self, original, before)
        except Exception as error:  # noqa: BLE001  the model is loaded; only a second load is in danger
            journal.fault("fp8-block-quant", error)
        return result

    return process_weights_after_loading


def is_block_quantized(method: Any) -> bool:
    """Whether a quantization method holds FP8 weights with one scale per block, as they come from a checkpoint."""
    config = getattr(method, "quant_config", None)
    serialized = getattr(config, "is_checkpoint_fp8_serialized", True)
    return bool(getattr(method, "block_quant", False)) and bool(serialized)
