"""One layer through a refit: into checkpoint layout, and back with new values in the storage it had."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from .layout import Record, Slot

    Pair = tuple[Any, Any]

_UNTOUCHED = 0xFF

#: Layers that a refit has open now: one inside it, and plain loads, leave them to it.
opened: weakref.WeakSet[Any] = weakref.WeakSet()


class IncompleteRefit(RuntimeError):
    """A refit in which a layer got only a part of its weights: the whole model keeps its old quantized weights.

    ``layers`` maps the names of such layers to the parameters that lack values.
    """

    def __init__(self, layers: dict[str, tuple[str, ...]]) -> None:
        text = "; ".join(f"{layer}: {', '.join(names)}" for layer, names in sorted(layers.items()))
        super().__init__(
            f"weights are missing for layers that must be loaded as a whole: {text}. "
            "Every parameter of the model has its old value; load again, all parts of a layer in one refit"
        )
        self.layers = layers


class RefitFailed(RuntimeError):
    """vLLM's processing of new weights failed in some layers; the cause is the first exception.

    ``old`` names the layers that have their old weights, ``new`` those that have the new ones; both are empty where
    the whole model has its old ones.
    """

    def __init__(self, old: tuple[str, ...], new: tuple[str, ...], cause: BaseException) -> None:
        state = (
            f"Layers with their old weights: {', '.join(old)}; with the new ones: {', '.join(new) or 'none'}; "
            "what is not quantized has the new ones"
        )
        if not old:
            state = "Every parameter of the model has its old value"
        super().__init__(f"processing new weights failed ({type(cause).__name__}: {cause}). {state}")
        self.old, self.new = old, new


@dataclass(frozen=True)
class Staged:
    """A layer between ``stage`` and ``finish``; ``live`` holds the tensors that the kernels read.

    ``saved`` holds, in host memory, the old values of parameters that load straight into the live storage.
    """

    layer: Any
    record: Record
    live: dict[str, Any]
    saved: dict[str, Any]


def stage(layer: Any, record: Record, loaded: dict[str, Any] | None = None) -> Staged:
    """Puts a layer into checkpoint layout.

    Parameters whose live form is the checkpoint's load straight into the live storage; the others get a buffer of the
    checkpoint's shape. Both are filled with the byte 0xFF (NaN) so that what is not loaded is noticed. All memory is
    taken before the layer is touched. With ``loaded``, buffers that hold new weights already, the rest stays as it is.
    """
    parameters = layer._parameters  # noqa: SLF001  assignment through the module would check and copy
    live = {name: value.data for name, value in record.live.items() if value is not None}
    device = next(iter(live.values())).device
    direct = [slot for slot in record.slots if slot.in_place and loaded is None]
    saved = {slot.name: host_copy(slot.parameter.data) for slot in direct}
    buffers = {slot.name: buffer(slot, device) for slot in record.staged} if loaded is None else loaded
    for name in record.live:
        parameters.pop(name, None)
    for slot in record.slots:
        if slot.name in saved:
            blank(slot.parameter.data)
        elif slot.name in buffers:
            slot.parameter.data = buffers[slot.name]
        slot.parameter.__class__ = slot.cls
        parameters[slot.name] = slot.parameter
    parameters.update(dict.fromkeys(record.empty))
    return Staged(layer, record, live, saved)


def lacking(staged: Staged) -> tuple[str, ...] | None:
    """The parameters that lack values; None for a layer that got no weights at all.

    Codes and scales belong together. What else a layer has, a bias for one, may stay away as a whole.
    """
    shares = {slot.name: _missing(slot.parameter.data) for slot in staged.record.slots}
    if all(share == 1 for share in shares.values()):
        return None
    return tuple(name for name, share in shares.items() if share and not (share == 1 and name in _optional(staged)))


def finish(staged: Staged) -> None:
    """Processes the new weights as vLLM does, and copies them into the live storage.

    An exception leaves the layer with its old weights.
    """
    for name in set(_optional(staged)) & set(staged.saved):
        parameter = staged.layer._parameters[name]  # noqa: SLF001
        if _missing(parameter.data) == 1:
            parameter.data.copy_(staged.saved[name])
    if all(slot.in_place for slot in staged.record.slots):
        _to_live_layout(staged)
        return
    _process(staged)


def restore(staged: Staged) -> None:
    """Puts a layer back into its live layout, with its old weights."""
    _to_live_layout(staged)
    for slot in staged.record.slots:
        if slot.name in staged.saved:
            slot.parameter.data.copy_(staged.saved[slot.name])


def _to_live_layout(staged: Staged) -> None:
    from torch.nn import Parameter  # noqa: PLC0415  vLLM has imported it

    parameters = staged.layer._parameters  # noqa: SLF001
    for slot in staged.record.slots:
        parameters.pop(slot.name, None)
    for name in staged.record.empty:
        parameters.pop(name, None)
    for slot in staged.record.slots:
        slot.parameter.__class__ = Parameter
    for name, value in staged.record.live.items():
        if value is not None:
            value.data = staged.live[name]
        parameters[name] = value


def _process(staged: Staged) -> None:
    """Runs vLLM's processing on the buffers; what it hangs on layer and method beside the weights stays the old."""
    layer, record = staged.layer, staged.record
    before = [(owner, dict(vars(owner))) for owner in (layer, record.method)]
    buffers = dict(layer._buffers)  # noqa: SLF001
    done = False
    try:
        record.process(record.method, layer)
        _copy_all(_outcome(staged, before, buffers))
        done = True
    finally:
        for owner, attributes in before:
            vars(owner).clear()
            vars(owner).update(attributes)
        layer._buffers.clear()  # noqa: SLF001
        layer._buffers.update(buffers)  # noqa: SLF001
        layer._parameters.clear()  # noqa: SLF001
        (_to_live_layout if done else restore)(staged)


def _outcome(staged: Staged, before: list[tuple[Any, dict[str, Any]]], buffers: dict[str, Any]) -> list[Pair]:
    """What processing made, beside the tensors that take its values: parameters, buffers, attributes."""
    import torch  # noqa: PLC0415

    layer = staged.layer
    pairs = [(target, layer._parameters[name].data) for name, target in staged.live.items()]  # noqa: SLF001
    pairs += [(target, layer._buffers.get(name)) for name, target in buffers.items()]  # noqa: SLF001
    for owner, attributes in before:
        for name, value in attributes.items():
            if isinstance(value, torch.Tensor) and isinstance(vars(owner).get(name), torch.Tensor):
                pairs.append((value, vars(owner)[name]))
    return pairs


def _copy_all(pairs: list[Pair]) -> None:
    """Copies every source into its target, once all are known to fit."""
    present = [(target, source) for target, source in pairs if target is not None and source is not None]
    moved = [(target, source) for target, source in present if target.data_ptr() != source.data_ptr()]
    for target, source in moved:
        if target.shape != source.shape:
            message = f"processing gave shape {tuple(source.shape)} where the kernels have {tuple(target.shape)}"
            raise RuntimeError(message)
    for target, source in moved:
        target.copy_(source)


def _optional(staged: Staged) -> tuple[str, ...]:
    """Parameters that are neither codes nor scales and load in place."""
    names = (slot.name for slot in staged.record.slots if slot.in_place)
    return tuple(name for name in names if not name.endswith("weight") and "scale" not in name)


def host_copy(data: Any) -> Any:
    """The values of a tensor in host memory: GPU memory is what is scarce while weights are updated."""
    return data.detach().to("cpu", copy=True)


def buffer(slot: Slot, device: Any) -> Any:
    """Memory for one parameter in checkpoint layout, filled with NaN."""
    import torch  # noqa: PLC0415

    made = torch.empty_strided(slot.shape, slot.strides, dtype=slot.dtype, device=device)
    blank(made)
    return made


def _as_bytes(data: Any) -> Any:
    """A tensor as bytes: a scalar as a row of them, and one that is stored transposed by its storage's order."""
    import torch  # noqa: PLC0415

    if data.element_size() == 1:
        return data.view(torch.uint8)
    if data.dim() == 0:
        return data.reshape(1).view(torch.uint8)
    order = sorted(range(data.dim()), key=data.stride, reverse=True)
    return data.permute(order).view(torch.uint8)


def blank(data: Any) -> None:
    """Fills a tensor with the byte 0xFF: NaN, where it is of floating point."""
    _as_bytes(data).fill_(_UNTOUCHED)


def untouched(data: Any) -> Any:
    """Which elements were not written since :func:`blank`, in the shape of the tensor."""
    import torch  # noqa: PLC0415

    size = data.element_size()
    if size == 1:
        return data.view(torch.uint8) == _UNTOUCHED
    apart = (_as_bytes(data) == _UNTOUCHED).unflatten(-1, (-1, size)).all(-1)
    if not data.dim():
        return apart.reshape(())
    order = sorted(range(data.dim()), key=data.stride, reverse=True)
    return apart.permute(sorted(range(data.dim()), key=order.__getitem__))


def _missing(data: Any) -> float:
    """The share of a parameter that was not loaded: for weights counted in rows, for the rest in elements."""
    if not data.numel():
        return 0.0
    free = untouched(data)
    if data.element_size() == 1 and data.dim():
        free = free.all(-1)
    return float(free.float().mean())
