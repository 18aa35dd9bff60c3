"""Figures against their bounds."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def complaints(figures: Mapping[str, Any], at_most: Mapping[str, float], at_least: Mapping[str, float]) -> list[str]:
    """What is out of bounds or was not measured, each in words; NaN is out of every bound.

    Args:
        figures: What was measured.
        at_most: Upper bounds by figure.
        at_least: Lower bounds by figure.
    """
    sides = (("at most", operator.le, at_most), ("at least", operator.ge, at_least))
    return [
        f"{name} is {_shown(figures[name])}, {side} {_shown(bound)} was expected"
        if name in figures
        else f"{name} was not measured"
        for side, holds, bounds in sides
        for name, bound in bounds.items()
        if name not in figures or not holds(float(figures[name]), bound)
    ]


def _shown(value: Any) -> str:
    number = float(value)
    return f"{number:.4g}" if math.isfinite(number) else str(number)
