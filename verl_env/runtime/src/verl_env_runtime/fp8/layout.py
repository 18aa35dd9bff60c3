"""The checkpoint layout of an FP8 layer, the live layout that the kernels read, and the way between them.

A layer is born in checkpoint layout: parameters with vLLM's own classes, which know how to load a shard. Processing
may rename, transpose, pad or requantize them for the kernel. The record of a layer holds both sides, so that new
weights can be loaded in checkpoint layout, processed again, and copied into the storage that CUDA graphs refer to.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: vLLM 0.11 and 0.12 rename the scale of a linear layer while they process it.
_RENAMED = {"weight_scale_inv": "weight_scale"}

#: Multiples of the first modulo the second, both primes, are numbers that no two places of a row share.
_SPREAD, _MODULUS = 2_654_435_761, 2**31 - 1
#: Bytes of which a fingerprint is made in one step.
_AT_ONCE = 2**22


@dataclass(frozen=True)
class Slot:
    """One parameter as the checkpoint has it. ``in_place``: the live storage is the checkpoint's, values included."""

    name: str
    parameter: Any
    cls: type
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any
    in_place: bool


@dataclass(frozen=True)
class Record:
    """Both layouts of a layer; ``live`` maps the names after processing to their parameters."""

    method: Any
    process: Callable[[Any, Any], Any]
    slots: tuple[Slot, ...]
    empty: tuple[str, ...]
    live: dict[str, Any]

    @property
    def staged(self) -> tuple[Slot, ...]:
        """The parameters whose live form differs from the checkpoint's."""
        return tuple(slot for slot in self.slots if not slot.in_place)


@dataclass(frozen=True)
class Snapshot:
    """A layer before it is processed: the parameters, and what tells later whether they were changed."""

    parameters: dict[str, Any]
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...], Any]]
    prints: dict[str, Any]
    places: dict[str, int]
    step: int


_records: weakref.WeakKeyDictionary[Any, Record] = weakref.WeakKeyDictionary()


def record_of(layer: Any) -> Record | None:
    """The record of a layer, or None where it was not processed under the patch."""
    return _records.get(layer)


def snapshot(layer: Any, step: int = 1) -> Snapshot:
    """Notes a layer in checkpoint layout; ``step``: of that many rows one is looked at, to see whether values move."""
    parameters = dict(layer._parameters)  # noqa: SLF001
    present = {name: value for name, value in parameters.items() if value is not None}
    return Snapshot(
        parameters,
        {name: (tuple(value.shape), value.stride(), value.dtype) for name, value in present.items()},
        {name: fingerprint(value.data, step) for name, value in present.items()},
        {name: value.data_ptr() for name, value in present.items()},
        step,
    )


def remember(layer: Any, method: Any, process: Callable[[Any, Any], Any], before: Snapshot) -> None:
    """Notes the live layout of a layer after processing, and puts its old parameter objects back.

    Outside of a refit they are plain parameters (``torch.compile`` takes no subclasses); ``subclass_type`` tells the
    class that loads.
    """
    from torch.nn import Parameter  # noqa: PLC0415  vLLM has imported it

    slots = []
    for name, old in before.parameters.items():
        if old is None:
            continue
        cls = type(old)
        kept = _keep(layer, name, old)
        shape, strides, dtype = before.shapes[name]
        same = kept and (tuple(old.shape), old.stride(), old.dtype) == before.shapes[name]
        same = same and old.data_ptr() == before.places[name]  # a transposed copy may have the same values by chance
        unchanged = same and _equal(fingerprint(old.data, before.step), before.prints[name])
        slots.append(Slot(name, old, cls, shape, strides, dtype, in_place=unchanged))
        if kept and cls is not Parameter:
            old.subclass_type = cls
            old.__class__ = Parameter
    empty = tuple(name for name, old in before.parameters.items() if old is None)
    _records[layer] = Record(method, process, tuple(slots), empty, dict(layer._parameters))  # noqa: SLF001


def fingerprint(data: Any, step: int = 1) -> Any:
    """One number per row of a tensor, from its bytes and their places: what changes or moves changes it.

    With ``step``, of every matrix one row in that many: enough to see whether a kernel's layout was made.

    A few rows at a time are spread out to 64-bit numbers, so that a large weight needs little memory beside it.
    """
    import torch  # noqa: PLC0415

    if data.numel() == 0 or data.device.type == "meta":
        return None
    if step > 1 and data.dim() > 1:
        data = data[..., ::step, :]
    rows = data.reshape(-1, data.shape[-1]) if data.dim() else data.reshape(1, 1)
    width = rows.shape[1] * rows.element_size()
    places = (torch.arange(1, width + 1, dtype=torch.int64, device=data.device) * _SPREAD) % _MODULUS
    parts = rows.split(max(1, _AT_ONCE // width))
    return torch.cat([(part.contiguous().view(torch.uint8) * places).sum(-1) for part in parts])


def _equal(left: Any, right: Any) -> bool:
    import torch  # noqa: PLC0415

    if left is None or right is None:
        return left is right
    return left.shape == right.shape and bool(torch.equal(left, right))


def _keep(layer: Any, name: str, old: Any) -> bool:
    """Puts an old parameter back under its name or the name that processing gave it; False where it cannot be."""
    from verl_env_runtime.parameters import adopt  # noqa: PLC0415

    parameters = layer._parameters  # noqa: SLF001
    now = name if parameters.get(name) is not None else _RENAMED.get(name, name)
    new = parameters.get(now)
    if new is None:
        return False
    if new is old or adopt(old, new):
        parameters[now] = old
        return True
    return False
