"""What a trainer calls around its weight update: new weights into a running, FP8 block-quantized model."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from .layout import record_of
from .names import quantize_weights
from .reload import available, vllm_reload
from .staging import IncompleteRefit, RefitFailed, finish, host_copy, lacking, opened, restore, stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .staging import Staged

    Saved = tuple[Any, Any]

__all__ = ["IncompleteRefit", "RefitFailed", "load_quantized", "refit"]


@contextlib.contextmanager
def refit(model: Any, *, model_config: Any = None) -> Iterator[Any]:
    """Opens a model for new weights: inside, ``model.load_weights`` takes them as a checkpoint has them.

    On leaving, every layer is processed as after the first load, and the values are in the storage that they were in
    before, so that captured CUDA graphs and references stay valid. From vLLM 0.16 on, vLLM's own layerwise reload
    does this; before, the records that the patches keep. A refit is all or nothing: an exception inside, or a layer
    with a part of its weights, leaves the model with its old ones. For that they are kept in host memory meanwhile
    (``refit`` takes a submodule too, to keep that small); before 0.16 those whose kernel layout differs from the
    checkpoint's beside the new ones. A refit inside another leaves its layers to the outer one.

    Args:
        model: the vLLM model, or a submodule of it.
        model_config: vLLM's ``ModelConfig``; only its ``dtype`` is used, which is guessed where it is not given.

    Raises:
        IncompleteRefit: a layer got a part of its weights (codes without scales for one); the model keeps the old.
        RefitFailed: vLLM's processing failed; it says which layers have their old and which the new weights.
    """
    if available(model):
        with vllm_reload(model, model_config):
            yield model
        return
    staged, others = _stage_all(model)
    try:
        yield model
        _check(staged)
    except BaseException:
        _restore_all(staged, others)
        raise
    _finish_all(staged)


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


def _stage_all(model: Any) -> tuple[dict[str, Staged], list[Saved]]:
    """Stages every layer that no outer refit has open, and keeps the values of all other parameters.

    Where one fails, for memory for instance, those before it are put back.
    """
    found = [(name, layer, record_of(layer)) for name, layer in model.named_modules()]
    staged: dict[str, Staged] = {}
    try:
        held = {id(value) for _, layer, record in found if record for value in layer._parameters.values()}  # noqa: SLF001
        rest = [value for value in model.parameters() if id(value) not in held] if held and not opened else []
        others = [(value, host_copy(value.data)) for value in rest]
        for name, layer, record in found:
            if record is not None and layer not in opened:
                staged[name] = stage(layer, record)
                opened.add(layer)
    except BaseException:
        _restore_all(staged, [])
        raise
    return staged, others


def _check(staged: dict[str, Staged]) -> None:
    incomplete = {name: names for name, layer in staged.items() if (names := lacking(layer))}
    if incomplete:
        raise IncompleteRefit(incomplete)


def _restore_all(staged: dict[str, Staged], others: list[Saved]) -> None:
    for layer in staged.values():
        opened.discard(layer.layer)
        restore(layer)
    for parameter, value in others:
        parameter.data.copy_(value)


def _finish_all(staged: dict[str, Staged]) -> None:
    """Finishes each layer; one that fails does not keep the others in checkpoint layout."""
    failures: dict[str, Exception] = {}
    idle = {name for name, layer in staged.items() if lacking(layer) is None}
    for name, layer in staged.items():
        opened.discard(layer.layer)
        try:
            (restore if name in idle else finish)(layer)
        except Exception as error:  # noqa: BLE001  raised below, when every layer is back
            failures[name] = error
    if failures:
        first = next(iter(failures.values()))
        new = tuple(name for name in staged if name not in failures and name not in idle)
        raise RefitFailed(tuple(name for name in staged if name not in new), new, first) from first
