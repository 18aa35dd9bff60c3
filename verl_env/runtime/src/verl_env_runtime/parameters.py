"""Keeping the parameters of a layer alive while vLLM exchanges them for bare ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def keep_parameters(layer: Any, before: Mapping[str, Any]) -> None:
    """Puts the parameter objects of ``before`` back wherever the layer has new ones, with the data of the new.

    Attributes (the weight loader among them), identity and references held elsewhere survive. Where the old object
    cannot take the new data (another dtype or device), the new one stays and gets the attributes it lacks.
    """
    for name, old in before.items():
        new = layer._parameters.get(name)  # noqa: SLF001  assignment through the module would check and copy
        if old is None or new is None or new is old:
            continue
        if adopt(old, new):
            layer._parameters[name] = old  # noqa: SLF001


def adopt(old: Any, new: Any) -> bool:
    """Gives an old parameter the data of a new one; where it cannot take them, the new one stays. False then.

    The one that stays gets the attributes of the other that it lacks: ``weight_loader``, or ``is_shuffled`` (ROCm).
    """
    try:
        old.data = new.data
    except (RuntimeError, TypeError):
        _complete(new, old)
        return False
    old.requires_grad_(new.requires_grad)
    _complete(old, new)
    return True


def _complete(kept: Any, gone: Any) -> None:
    for key, value in vars(gone).items():
        if not hasattr(kept, key):
            setattr(kept, key, value)
