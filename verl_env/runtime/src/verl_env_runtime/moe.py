"""``moe-weight-loader``: expert weights keep their loader through vLLM's processing, so that they load again.

``rocm-moe-expert-map``: the maps from global to local experts keep their values while dummy weights are made.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from . import journal
from .parameters import keep_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_EXPERT_WEIGHTS = ("w13_weight", "w2_weight")
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
