"""Figures against their bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def complaints(
    figures: Mapping[str, Any], at_most: Mapping[str, float], at_least: Mapping[str, float], *, all_of: bool
) -> list[str]:
    """What is out of bounds, each in words; NaN is out of every bound.

    Args:
        figures: What was measured.
        at_most: Upper bounds by figure.
        at_least: Lower bounds by figure.
        all_of: Whether a figure that is not there is a complaint; else nothing is said of it.
    """
    found: list[str] = []
    for name, bound in at_most.items():
        if _missing(figures, name, all_of=all_of, found=found):
            continue
        if not float(figures[name]) <= bound:
            found.append(f"{name} is {_shown(figures[name])}, at most {_shown(bound)} was expected")
    for name, bound in at_least.items():
        if _missing(figures, name, all_of=all_of, found=found):
            continue
        if not float(figures[name]) >= bound:
            found.append(f"{name} is {_shown(figures[name])}, at least {_shown(bound)} was expected")
    return found


def _missing(figures: Mapping[str, Any], name: str, *, all_of: bool, found: list[str]) -> bool:
    if name in figures:
        return False
    if all_of:
        found.append(f"{name} was not measured")
    return True


def _shown(value: Any) -> str:
    number = float(value)
    return f"{number:.4g}" if math.isfinite(number) else str(number)
