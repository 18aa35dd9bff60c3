"""``moe-weight-loader``: expert weights keep their loader through vLLM's processing, so that they load again.

``moe-kernel-layout``: new expert weights reach kernels that hold them in another layout than checkpoints.

``rocm-moe-expert-map``: the maps from global to local experts keep their values while dummy weights are made.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING

from . import journal
from .fp8.layout import record_of, remember, snapshot
from .parameters import keep_parameters
from .plain import PlainLoads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .fp8.layout import Record

_EXPERT_WEIGHTS = ("w13_weight", "w2_weight")
_ROWS = 8
_loads: weakref.WeakKeyDictionary[Any, PlainLoads] = weakref.WeakKeyDictionary()
_ROUTING = ("expert_global_to_physical", "expert_physical_to_global", "expert_local_to_global")
_EXPERT_MAPS = ("_expert_map", "expert_mask", *_ROUTING)


def wrap(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``process_weights_after_loading`` that leaves the parameter objects of the layer in place."""

    @functools.wraps(original)
    def process_weights_after_loading(self: Any, layer: Any) -> Any:
        before = dict(layer._parameters)  # noqa: SLF001
        result = original(self, layer)
        try:
            keep_parameters(layer, before)
        except Exception as error:  # noqa: BLE001  the model is loaded; only a second load is in danger
            journal.fault("moe-weight-loader", error)
        return result

    return process_weights_after_loading


def wrap_layout(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``process_weights_after_loading`` that knows a layer which it has processed already.

    Where the kernels' layout is not the checkpoint's (FlashInfer exchanges gate and up, TRTLLM makes blocks, AITER
    shuffles), later loads are gathered and processed layer by layer, and the processing that a trainer asks for after
    its last load must not happen twice. A layer that holds other parameters is in a reload of vLLM's: left alone.
    """

    @functools.wraps(original)
    def process_weights_after_loading(self: Any, layer: Any) -> Any:
        record = record_of(layer)
        if record is not None:
            return _again(self, layer, record, original)
        before = snapshot(layer, _step(layer))
        result = original(self, layer)
        try:
            remember(layer, self, original, before)
            _guard(layer)
        except Exception as error:  # noqa: BLE001  the model is loaded; only a second load is in danger
            journal.fault("moe-kernel-layout", error)
        return result

    return process_weights_after_loading


def _again(method: Any, layer: Any, record: Record, original: Callable[[Any, Any], Any]) -> Any:
    loads = _loads.get(layer)
    if loads is None or any(layer._parameters.get(name) is not value for name, value in record.live.items()):  # noqa: SLF001
        return original(method, layer)
    return loads.finish() if loads.pending else None


def _guard(layer: Any) -> None:
    record = record_of(layer)
    if record is not None and any(slot.name in _EXPERT_WEIGHTS for slot in record.staged):
        _loads[layer] = PlainLoads(layer, record)
        _loads[layer].guard()


def _step(layer: Any) -> int:
    """Eight rows of each expert's matrix tell whether they were moved: a CPU takes minutes for all of a model."""
    weight = layer._parameters.get(_EXPERT_WEIGHTS[0])  # noqa: SLF001
    return 1 if weight is None else max(1, weight.shape[-2] // _ROWS)


def wrap_dummy(original: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """``DummyModelLoader.load_weights`` that leaves the maps of expert parallelism as they are, in place."""

    @functools.wraps(original)
    def load_weights(self: Any, model: Any, model_config: Any) -> Any:
        kept = [(module, name, value.clone()) for module, name, value in _expert_maps(model)]
        result = original(self, model, model_config)
        for module, name, value in kept:
            module._buffers[name].copy_(value)  # noqa: SLF001
        return result

    return load_weights


def _expert_maps(model: Any) -> Iterator[tuple[Any, str, Any]]:
    for module in model.modules():
        for name in _EXPERT_MAPS:
            value = module._buffers.get(name)  # noqa: SLF001
            if value is not None and value.device.type != "meta":
                yield module, name, value


def restore_expert_loaders(model: Any) -> int:
    """Gives the expert weights of a loaded model their loader back, and returns how many needed it.

    For models that were built before the patches were in force. Every module that has a ``weight_loader`` and expert
    weights is found, whatever the model calls it.
    """
    restored = 0
    for module in model.modules():
        loader = getattr(module, "weight_loader", None)
        for name in _EXPERT_WEIGHTS if callable(loader) else ():
            weight = module._parameters.get(name)  # noqa: SLF001
            if weight is not None and getattr(weight, "weight_loader", None) is None:
                weight.weight_loader = loader
                restored += 1
    return restored
