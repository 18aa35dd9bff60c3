"""Plain loads into a layer that the kernels hold in a layout of their own: gathered aside, processed when complete."""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from typing import TYPE_CHECKING

from .fp8.staging import RefitFailed, buffer, finish, opened, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .fp8.layout import Record

_LOADER = "weight_loader"


class IncompleteLoad(RuntimeError):
    """Weights are to be processed, but a layer got only a part of its own: it keeps its old ones.

    ``layer`` names it, ``parameters`` maps what it lacks to the share that came, between 0 and 1.
    """

    def __init__(self, layer: str, parameters: dict[str, float]) -> None:
        text = ", ".join(f"{name} ({share:.0%} of it came)" for name, share in sorted(parameters.items()))
        super().__init__(
            f"{layer} lacks new weights: {text}. It keeps its old ones, as the kernels' layout differs from the "
            "checkpoint's and is made of a whole layer; layers that came whole have their new weights. Load again"
        )
        self.layer, self.parameters = layer, parameters


class PlainLoads:
    """The new weights of one layer on their way; until all have come, its old ones are in force.

    A layer has changed when the last of its weights is in, so that nobody has to say when a load begins or ends.
    """

    def __init__(self, layer: Any, record: Record) -> None:
        self._layer = weakref.ref(layer)
        self._record = record
        self._slots = {slot.name: slot for slot in record.slots if slot.name.endswith("weight")}
        self._buffers: dict[str, Any] = {}
        self._came: dict[tuple[Any, ...], int] = {}

    def guard(self) -> None:
        """Puts itself before every loader of the layer."""
        layer = self._layer()
        for name in self._slots:
            parameter = self._record.live[name]
            if callable(getattr(parameter, _LOADER, None)):
                parameter.weight_loader = self.loader(parameter.weight_loader)
        if callable(getattr(layer, _LOADER, None)):
            layer.weight_loader = self.loader(layer.weight_loader)

    def loader(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A loader that takes what is meant for this layer's live parameters aside; ``original`` does the rest."""
        signature = inspect.signature(original)
        first = next(iter(signature.parameters))

        @functools.wraps(original)
        def weight_loader(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs)
            name = self._name(given.arguments[first])
            if name is None or self._layer() in opened:
                return original(*args, **kwargs)
            for device in ("meta", "live") if name not in self._buffers else ("live",):
                given.arguments[first] = self._twin(name, device)
                with _copied_into(given.arguments[first]) as copied:
                    result = original(*given.args, **given.kwargs)
                if not copied[0]:  # an expert of another rank
                    return result
            where = [given.arguments.get(key) for key in ("shard_id", "expert_id")]
            self._came[(name, *where) if where[1] is not None else (name, len(self._came))] = copied[0]
            if not self.lacking():
                self.finish()
            return result

        return weight_loader

    @property
    def pending(self) -> bool:
        """Whether a part of the weights has come."""
        return bool(self._buffers)

    def lacking(self) -> dict[str, float]:
        """The parameters that have not come whole, and the share of each that has."""
        shares = {name: self._share(name) for name in self._slots}
        return {name: share for name, share in shares.items() if share < 1}

    def finish(self) -> None:
        """Processes what came as vLLM does, into the memory that the kernels read.

        Raises:
            IncompleteLoad: a part is missing; the layer keeps its old weights, and the part that came is dropped.
            RefitFailed: vLLM's processing failed; the layer keeps its old weights.
        """
        layer, buffers, lacking = self._layer(), self._buffers, self.lacking()
        self._buffers, self._came = {}, {}
        name = str(getattr(layer, "layer_name", type(layer).__name__))
        if lacking:
            raise IncompleteLoad(name, lacking)
        try:
            finish(stage(layer, self._record, {key: twin.data for key, twin in buffers.items()}))
        except Exception as error:
            raise RefitFailed((name,), (), error) from error

    def _name(self, parameter: Any) -> str | None:
        return next((name for name in self._slots if self._record.live[name] is parameter), None)

    def _twin(self, name: str, device: str) -> Any:
        """A parameter like the live one in checkpoint layout, for the loader to write to."""
        if name in self._buffers:
            return self._buffers[name]
        from torch.nn import Parameter  # noqa: PLC0415  vLLM has imported it

        live, slot = self._record.live[name], self._slots[name]
        twin = Parameter(buffer(slot, live.device if device == "live" else device), requires_grad=False)
        twin.__class__ = slot.cls
        vars(twin).update(vars(live))
        if device == "live":
            self._buffers[name] = twin
        return twin

    def _share(self, name: str) -> float:
        """Counted in elements; where rows are padding that no checkpoint has, in shards of experts."""
        slot, came = self._slots[name], [(key, count) for key, count in self._came.items() if key[0] == name]
        total = 1
        for size in slot.shape:
            total *= size
        shards = slot.shape[0] * (2 if name.startswith("w13") else 1)
        parts = sum(1 for key, _ in came if len(key) > 2)  # noqa: PLR2004  parameter, shard, expert
        return min(1.0, max(sum(count for _, count in came) / total, parts / shards))


@contextlib.contextmanager
def _copied_into(target: Any) -> Iterator[list[int]]:
    """Counts the elements that are copied into the memory of a tensor."""
    from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC0415  vLLM's reload counts so too

    place, count = _storage(target), [0]

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.__name__.startswith("copy_") and _storage(args[0]) == place:
                count[0] += args[0].numel()
            return func(*args, **(kwargs or {}))

    with Counter():
        yield count


def _storage(tensor: Any) -> int:
    """What tensors of the same memory share, also on ``meta``, where it has no address."""
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001
