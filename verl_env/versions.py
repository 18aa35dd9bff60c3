"""Dotted numbers: drivers, CUDA, glibc, compute capabilities. Package versions belong to ``packaging``."""

from __future__ import annotations

#: What was read before: a plan compares the same texts thousands of times, and a probe has no time for functools.
_NUMBERS: dict[str, tuple[int, ...] | None] = {}
#: Digits of one number at most: Python turns no text of 4,300 into one, and no version has more than a date's.
_DIGITS = 18
_CAPABILITIES: dict[str, tuple[int, int, str] | None] = {}


def dotted(text: str) -> tuple[int, ...]:
    """The numbers of ``"550.54.15"`` for comparison.

    Raises:
        ValueError: the text is anything but ASCII digits separated by single dots, eighteen between two at most.
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
    return all(part.isascii() and part.isdigit() and len(part) <= _DIGITS for part in text.split("."))


def numbers(text: str) -> tuple[int, ...] | None:
    """The numbers of ``"550.54.15"``, or None where the text is anything else."""
    if text not in _NUMBERS:
        try:
            _NUMBERS[text] = dotted(text)
        except ValueError:
            _NUMBERS[text] = None
    return _NUMBERS[text]


def capability(text: str) -> tuple[int, int, str] | None:
    """A compute capability as major, minor and suffix: ``"9.0a"`` is ``(9, 0, "a")``; None where it is none."""
    if text not in _CAPABILITIES:
        suffix = text[-1:] if text[-1:] in ("a", "f") else ""
        parts = numbers(text.removesuffix(suffix))
        whole = parts is not None and len(parts) == 2  # noqa: PLR2004  major and minor
        _CAPABILITIES[text] = (parts[0], parts[1], suffix) if parts is not None and whole else None
    return _CAPABILITIES[text]
