"""During which releases something was there: pairs of places in a list of releases, first and last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: ``((0, 3), (7, 7))``: in the releases 0 to 3, and in 7.
Spans = tuple[tuple[int, int], ...]


def spans_of(places: Sequence[int]) -> Spans:
    """The spans of ascending places."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place - 1:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return tuple(found)


def owners(key: str) -> Iterator[str]:
    """The function and the class that an argument or a member is of, the nearest first."""
    module, _, name = key.partition(":")
    for mark in ("(", "."):
        name, found, _ = name.rpartition(mark) if mark in name else (name, "", "")
        if found:
            yield f"{module}:{name}"


def written(spans: Spans) -> str:
    """Spans as text: ``0-3,7``."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def parsed(text: str) -> Spans:
    """Spans of their text.

    Raises:
        ValueError: it is none.
    """
    pairs = (part.partition("-") for part in text.split(","))
    return tuple((int(first), int(last or first)) for first, _, last in pairs)
