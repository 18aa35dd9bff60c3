"""One layer through a refit: into checkpoint layout, and back with new values in the storage it had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from .layout import Record, Slot

_UNTOUCHED = 0xFF


class IncompleteRefit(RuntimeError):
    """A layer whose kernel layout differs from the checkpoint's got only a part of its weights.

    ``layers`` maps the names of such layers to the parameters that lack values; they keep their old weights.
    """

    def __init__(self, layers: dict[str, tuple[str, ...]]) -> None:
        text = "; ".join(f"{layer}: {', '.join(names)}" for layer, names in sorted(layers.items()))
        super().__init__(f"weights are missing for layers that must be loaded as a whole: {text}")
        self.layers = layers


@dataclass(frozen=True)
class Staged:
    """A layer between ``stage`` and ``finish``; ``live`` holds the tensors that the kernels read."""

    layer: Any
    record: Record
    live: dict[str, Any]


def stage(layer: Any, record: Record) -> Staged:
    """Puts a layer into checkpoint layout.

    Parameters whose live form is the checkpoint's load straight into the live storage; the others get a buffer of the
    checkpoint's shape, filled with the byte 0xFF (NaN) so that what is not loaded is noticed.
    """
    parameters = layer._parameters  # noqa: SLF001  assignment through the module would check and copy
    live = {name: value.data for name, value in record.live.items() if value is not None}
    for name in record.live:
        parameters.pop(name, None)
    for slot in record.slots:
        if not slot.in_place:
            slot.parameter.data = _buffer(slot, next(iter(live.values())).device)
        slot.parameter.__class__ = slot.cls
        parameters[slot.name] = slot.parameter
    parameters.update(dict.fromkeys(record.empty))
    return Staged(layer, record, live)


def finish(staged: Staged) -> tuple[str, ...]:
    """Processes the new weights as vLLM does, and copies them into the live storage.

    Returns the names of parameters that lack values, in which case the layer keeps its old ones; a layer that got no
    weights at all keeps them too.
    """
    missing = {slot.name: _missing(slot.parameter.data) for slot in staged.record.staged}
    if not missing or all(part == 1 for part in missing.values()):
        restore(staged)
        return ()
    if any(missing.values()):
        restore(staged)
        return tuple(name for name, part in missing.items() if part)
    _process(staged)
    return ()


def restore(staged: Staged) -> None:
    """Puts a layer back into its live layout."""
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
    try:
        record.process(record.method, layer)
        for name, target in staged.live.items():
            _copy(target, layer._parameters[name].data)  # noqa: SLF001
        for name, target in buffers.items():
            _copy(target, layer._buffers.get(name))  # noqa: SLF001
    finally:
        for owner, attributes in before:
            _rewind(owner, attributes)
        layer._buffers.clear()  # noqa: SLF001
        layer._buffers.update(buffers)  # noqa: SLF001
        layer._parameters.clear()  # noqa: SLF001
        restore(staged)


def _rewind(owner: Any, attributes: dict[str, Any]) -> None:
    """Gives an object its old attributes back; tensors among them take the new values."""
    import torch  # noqa: PLC0415

    now = vars(owner)
    for name, value in attributes.items():
        if isinstance(value, torch.Tensor) and isinstance(now.get(name), torch.Tensor):
            _copy(value, now[name])
    now.clear()
    now.update(attributes)


def _copy(target: Any, source: Any) -> None:
    if target is None or source is None or target.data_ptr() == source.data_ptr():
        return
    if target.shape != source.shape:
        message = f"processing gave shape {tuple(source.shape)} where the kernels have {tuple(target.shape)}"
        raise RuntimeError(message)
    target.copy_(source)


def _buffer(slot: Slot, device: Any) -> Any:
    import torch  # noqa: PLC0415

    buffer = torch.empty_strided(slot.shape, slot.strides, dtype=slot.dtype, device=device)
    buffer.view(torch.uint8).fill_(_UNTOUCHED)
    return buffer


def _missing(data: Any) -> float:
    """The share of a buffer that was not loaded: for weights counted in rows, for scales in elements."""
    import torch  # noqa: PLC0415

    untouched = data.view(torch.uint8) == _UNTOUCHED
    if data.element_size() > 1:
        untouched = untouched.reshape(*data.shape, data.element_size()).all(-1)
    else:
        untouched = untouched.all(-1)
    return float(untouched.float().mean())
