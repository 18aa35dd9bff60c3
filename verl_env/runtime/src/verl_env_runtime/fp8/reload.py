"""A refit through vLLM's layerwise reload (0.16 and later), which knows no way back: here it is all or nothing."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

from .staging import IncompleteRefit, RefitFailed, blank, host_copy, opened, untouched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Old = list[tuple[Any, Any]]

_RELOAD = "vllm.model_executor.model_loader.reload"


def available(model: Any) -> bool:
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
def vllm_reload(model: Any, model_config: Any) -> Iterator[None]:
    """Opens a model for vLLM's reload, and ends it with the new weights, or with the old ones and an exception.

    vLLM puts a layer into force when the last of its weights is in, and at the end every layer that got a part of them
    with whatever lies in memory for the rest. So the old values wait in host memory, and parts are looked for first.
    """
    if model in opened:
        yield
        return
    package = import_module(_RELOAD)
    config = model_config if model_config is not None else SimpleNamespace(dtype=_dtype(model))
    old = _old(model)
    package.initialize_layerwise_reload(model)
    mine = [layer for layer in model.modules() if layer not in opened]
    opened.update(mine)
    try:
        yield
        _check(model)
    except BaseException:
        _back(model, config, old)
        raise
    finally:
        opened.difference_update(mine)
    try:
        package.finalize_layerwise_reload(model, config)
    except Exception as error:
        _back(model, config, old)
        raise RefitFailed((), (), error) from error


def _old(model: Any) -> Old:
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return [(tensor, host_copy(tensor.data)) for tensor in tensors.values() if tensor.device.type != "meta"]


def _back(model: Any, config: Any, old: Old) -> None:
    """Puts old values where new ones are in force, and drops what waits; then nothing is left to process."""
    for tensor, value in old:
        tensor.data.copy_(value)
    for _, _, info in _begun(model):
        info.load_numel = 0
        info.loaded_weights.clear()
    infos = import_module(_RELOAD + ".layerwise").LAYERWISE_INFO
    for layer in model.modules():
        if layer in infos and infos[layer].load_numel_total is None:  # done; vLLM 0.16 would take its tensors away
            infos[layer].kernel_tensors = _tensors(layer)
    import_module(_RELOAD).finalize_layerwise_reload(model, config)


def _tensors(layer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    held = (layer._parameters, layer._buffers)  # noqa: SLF001
    parameters, buffers = ({name: value for name, value in one.items() if value is not None} for one in held)
    return parameters, buffers


def _begun(model: Any) -> Iterator[tuple[str, Any, Any]]:
    """The layers that have got weights and are not processed, with vLLM's notes on them."""
    infos = import_module(_RELOAD + ".layerwise").LAYERWISE_INFO
    for name, layer in model.named_modules():
        info = infos.get(layer)
        if info is not None and info.load_numel_total is not None and info.load_numel > 0:
            yield name, layer, info


def _check(model: Any) -> None:
    """Raises IncompleteRefit for a layer with a part of its weights; what is padding is no part."""
    missing = {name: names for name, layer, info in _begun(model) if (names := _lacking(layer, info))}
    if missing:
        raise IncompleteRefit(missing)


def _lacking(layer: Any, info: Any) -> tuple[str, ...]:
    """The weights and scales of a layer that lack values: loaded into memory full of NaN, as vLLM will load them.

    Attention holds scales alone, which vLLM treats by itself.
    """
    if callable(getattr(layer, "process_weights_after_loading", None)):
        return ()
    names = [name for name, value in layer._parameters.items() if value is not None and _is_needed(name, value)]  # noqa: SLF001
    return tuple(name for name in names if _lacks(name, layer._parameters[name], info))  # noqa: SLF001


def _is_needed(name: str, value: Any) -> bool:
    return value.device.type == "meta" and (name.endswith(("weight", "bias")) or "weight_scale" in name)


def _lacks(name: str, parameter: Any, info: Any) -> bool:
    calls = [arguments for loaded, arguments in info.loaded_weights if loaded == name]
    if not calls:
        return True
    twin = _twin(parameter, calls[0])
    for given in calls:
        kept = given.arguments["param"]
        given.arguments["param"] = twin
        try:
            twin.weight_loader(*given.args, **given.kwargs)
        finally:
            given.arguments["param"] = kept
    return _has_gaps(name, twin.data)


def _twin(parameter: Any, given: Any) -> Any:
    """A parameter like one on the meta device, in memory full of NaN, with vLLM's own loader."""
    import torch  # noqa: PLC0415

    device = next((v.device for v in given.arguments.values() if isinstance(v, torch.Tensor) and not v.is_meta), None)
    data = torch.empty_strided(tuple(parameter.shape), parameter.stride(), dtype=parameter.dtype, device=device)
    blank(data)
    twin = torch.nn.Parameter(data, requires_grad=False)
    twin.__class__ = parameter.__class__
    vars(twin).update(vars(parameter))
    loader: Any = twin.weight_loader
    while loader.__name__ == "online_process_loader":
        loader = loader.__wrapped__
    twin.weight_loader = loader
    return twin


def _has_gaps(name: str, data: Any) -> bool:
    """Whether a row of a matrix got nothing, or an expert's half of gate and up, or one of its other matrices."""
    free = untouched(data)
    if data.dim() > 1:
        free = free.all(-1)
    if data.dim() > 2:  # noqa: PLR2004  of experts; rows may be padding there
        halves = 2 if name.startswith("w13") and free.shape[1] % 2 == 0 else 1
        free = free.unflatten(1, (halves, -1)).all(-1)
    return bool(free.any())


def _dtype(model: Any) -> Any:
    """The dtype of the unquantized parameters: that of the model."""
    import torch  # noqa: PLC0415

    halves = (p.dtype for p in model.parameters() if p.dtype in {torch.bfloat16, torch.float16})
    return next(halves, torch.get_default_dtype())
