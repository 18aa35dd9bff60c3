"""Two kinds of plots as SVG: bars for commands side by side, lines on logarithmic axes for what grows."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLOURS = ("#3366cc", "#dc7633", "#2e8b57", "#8e44ad", "#7f8c8d")
WIDTH = 640
_STYLE = "<style>text{font:12px sans-serif;fill:#666}line{stroke:#999}</style>"


def bars(values: Mapping[str, float], unit: str) -> str:
    """A bar for each name."""
    most = max(values.values())
    left, row = 230, 26
    parts = []
    for number, (name, value) in enumerate(values.items()):
        y, length = 8 + number * row, (WIDTH - left - 90) * value / most
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="18" fill="{COLOURS[number % len(COLOURS)]}"/>',
            f'<text x="{left + length + 6:.1f}" y="{y + 14}">{value:.3g} {unit}</text>',
        ]
    return _svg(8 + row * len(values), parts)


def lines(series: Mapping[str, Sequence[tuple[float, float]]], across: str, up: str) -> str:
    """A line for each name, through its points; both axes are logarithmic."""
    points = [point for each in series.values() for point in each]
    (x0, x1), (y0, y1) = (_range([point[axis] for point in points]) for axis in (0, 1))
    left, top, right, bottom = 70, 14, WIDTH - 150, 300

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = left + (right - left) * (math.log10(point[0]) - x0) / (x1 - x0)
        y = bottom - (bottom - top) * (math.log10(point[1]) - y0) / (y1 - y0)
        return x, y

    parts = [
        f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>',
        f'<line x1="{left}" y1="{top}" x2="{left}" y2="{bottom}"/>',
        f'<text x="{(left + right) / 2}" y="{bottom + 34}" text-anchor="middle">{escape(across)}</text>',
        f'<text x="8" y="{top}">{escape(up)}</text>',
    ]
    for power in range(x0, x1 + 1):
        x, _ = place((10**power, 10**y0))
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{10**power:,}</text>')
    for power in range(y0, y1 + 1):
        _, y = place((10**x0, 10**power))
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for number, (name, each) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        at = [place(point) for point in each]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at]
        y = top + 12 + 18 * number
        parts.append(f'<text x="{right + 10}" y="{y}" style="fill:{colour}">{escape(name)}</text>')
    return _svg(bottom + 44, parts)


def _range(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _svg(height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}">'
    return "\n".join([head, _STYLE, *parts, "</svg>", ""])
