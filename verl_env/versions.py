"""Dotted numbers: drivers, CUDA, glibc, compute capabilities. Package versions belong to ``packaging``."""

from __future__ import annotations


def dotted(text: str) -> tuple[int, ...]:
    """The numbers of ``"550.54.15"`` for comparison.

    Raises:
        ValueError: the text is anything but ASCII digits separated by single dots.
    """
    if not is_dotted(text):
        raise ValueError(text)
    return tuple(map(int, text.split(".")))


def at_least(have: str, need: str) -> bool:
    """Whether a dotted number reaches another; missing places count as zero.

    Raises:
        ValueError: one of the two is not a dotted number.
    """
    left, right = dotted(have), dotted(need)
    width = max(len(left), len(right))
    return left + (0,) * (width - len(left)) >= right + (0,) * (width - len(right))


def is_dotted(text: str) -> bool:
    """Whether ``dotted`` can read it."""
    return all(part.isascii() and part.isdigit() for part in text.split("."))
