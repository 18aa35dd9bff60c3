"""``moe-weight-loader``: expert weights keep their loader through vLLM's processing, so that they load again."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from . import journal
from .parameters import keep_parameters

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_EXPERT_WEIGHTS = ("w13_weight", "w2_weight")


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
