"""Small texts taken apart without ``re``, and JSON without ``json``.

Either of the two modules takes 5 ms to load, a quarter of what a probe takes; what is read here is as plain as
``"3.12.4"``. Digits are ASCII digits throughout.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_DIGITS = "0123456789"
_HEXADECIMAL = "0123456789abcdef"
_SPACE = " \t\n\r"


def digits(text: str, most: int = 20) -> bool:
    """Whether a text is digits alone, one or more, and at most so many."""
    return 0 < len(text) <= most and not text.strip(_DIGITS)


def hexadecimal(text: str, width: int) -> bool:
    """Whether a text is exactly so many lower-case hexadecimal digits."""
    return len(text) == width and not text.strip(_HEXADECIMAL)


def release(text: str, fewest: int, most: int, width: int = 9) -> bool:
    """Whether a text is a dotted number of that many parts, each at most ``width`` digits."""
    parts = text.split(".")
    return fewest <= len(parts) <= most and all(digits(part, width) for part in parts)


def cpython(text: str) -> bool:
    """Whether a text is the version of a release of CPython 3, ``"3.12.4"``."""
    return text.startswith("3.") and release(text, 3, 3, 3) and text.index(".", 2) < len("3.00.")


def leading(text: str, characters: str = _DIGITS) -> str:
    """The longest beginning of a text that is made of some characters, digits where none are given."""
    return text[: len(text) - len(text.lstrip(characters))]


def loads(text: str) -> Any:
    """What a JSON document says.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    if _scan is None:
        import json  # noqa: PLC0415  (a Python without the scanner that is written in C)

        return json.loads(text)
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError(text[:20]) from None
    if end != len(text):
        raise ValueError(text[end : end + 20])
    return value


def dumps(value: Any) -> str:
    """A value of objects, lists and scalars as JSON on one line, as ``json.dumps`` writes it.

    Raises:
        TypeError: JSON has no such value.
    """
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_string(key)}: {dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(dumps, value)) + "]"
    raise TypeError(type(value).__name__)


def _string(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    import json  # noqa: PLC0415  (few texts need it)

    return json.dumps(text)


class _Context:
    """How the scanner makes values, as the decoder of ``json`` tells it."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def _scanner() -> Callable[[str, int], tuple[Any, int]] | None:
    """The scanner of ``json`` that is written in C, where this Python has it."""
    try:
        from _json import make_scanner  # noqa: PLC0415
    except ImportError:
        return None
    context: Any = _Context
    return make_scanner(context)


_scan = _scanner()
