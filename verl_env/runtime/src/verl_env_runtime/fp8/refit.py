"""What a trainer calls around its weight update: new weights into a running, FP8 block-quantized model."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

from .layout import record_of
from .names import quantize_weights
from .staging import IncompleteRefit, finish, restore, stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .staging import Staged

__all__ = ["IncompleteRefit", "load_quantized", "refit"]

_RELOAD = "vllm.model_executor.model_loader.reload"


@contextlib.contextmanager
def refit(model: Any, *, model_config: Any = None) -> Iterator[Any]:
    """Opens a model for new weights: inside, ``model.load_weights`` takes them as a checkpoint has them.

    On leaving, every layer is processed as after the first load, and the values are in the storage that they were in
    before, so that captured CUDA graphs and references stay valid. From vLLM 0.16 on, vLLM's own layerwise reload
    does this; before, the record that the patch ``fp8-block-quant`` keeps. Layers whose kernel layout differs from the
    checkpoint's are held twice meanwhile (``refit`` takes a submodule too, to keep that small).

    Args:
        model: the vLLM model, or a submodule of it.
        model_config: vLLM's ``ModelConfig``; only its ``dtype`` is used, which is guessed where it is not given.

    Raises:
        IncompleteRefit: a layer that must be loaded as a whole got a part of its weights; it keeps its old ones.
    """
    if _layerwise(model):
        with _vllm_reload(model, model_config):
            yield model
        return
    staged = _stage_all(model)
    try:
        yield model
    except BaseException:
        for layer in staged.values():
            restore(layer)
        raise
    incomplete = {name: missing for name, missing in _finish_all(staged) if missing}
    if incomplete:
        raise IncompleteRefit(incomplete)


def load_quantized(model: Any, weights: Iterable[tuple[str, Any]], *, model_config: Any = None) -> Any:
    """Loads high-precision weights into an FP8 block-quantized model: quantizes them on the way, and refits.

    Args:
        model: the vLLM model.
        weights: names and tensors as the checkpoint of the unquantized model has them.
        model_config: as for :func:`refit`.

    Returns:
        What the model's ``load_weights`` returns.

    Raises:
        IncompleteRefit: as :func:`refit`.
    """
    with refit(model, model_config=model_config):
        return model.load_weights(quantize_weights(weights, model))


def _stage_all(model: Any) -> dict[str, Staged]:
    found = ((name, layer, record_of(layer)) for name, layer in model.named_modules())
    return {name: stage(layer, record) for name, layer, record in found if record is not None}


def _finish_all(staged: dict[str, Staged]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Finishes each layer; one that fails does not keep the others in checkpoint layout."""
    failure: Exception | None = None
    for name, layer in staged.items():
        try:
            yield name, finish(layer)
        except Exception as error:  # noqa: BLE001, PERF203  raised below, when every layer is back
            failure = failure or error
    if failure is not None:
        raise failure


def _layerwise(model: Any) -> bool:
    """Whether vLLM can reload this model itself: it has layerwise reload, and noted the layers when it loaded them."""
    if "vllm" not in sys.modules:
        return False
    try:
        layerwise = import_module(_RELOAD + ".layerwise")
    except ImportError:
        return False
    infos = getattr(layerwise, "LAYERWISE_INFO", {})
    layers = [layer for layer in model.modules() if layer._parameters]  # noqa: SLF001
    return bool(layers) and all(layer in infos and any(infos[layer].restore_metadata) for layer in layers)


@contextlib.contextmanager
def _vllm_reload(model: Any, model_config: Any) -> Iterator[None]:
    reload = import_module(_RELOAD)
    config = model_config if model_config is not None else SimpleNamespace(dtype=_dtype(model))
    reload.initialize_layerwise_reload(model)
    try:
        yield
    finally:
        reload.finalize_layerwise_reload(model, config)


def _dtype(model: Any) -> Any:
    """The dtype of the unquantized parameters: that of the model."""
    import torch  # noqa: PLC0415

    halves = (p.dtype for p in model.parameters() if p.dtype in {torch.bfloat16, torch.float16})
    return next(halves, torch.get_default_dtype())
