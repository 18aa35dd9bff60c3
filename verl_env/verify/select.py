"""Which parts are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.verify.errors import PartUnknown
from verl_env.verify.load import load_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.verify.model import Part


def select(names: Sequence[str]) -> list[Part]:
    """The parts that are named, or whose names begin with a name and a hyphen; all without names.

    Raises:
        PartUnknown: a name that no part has.
    """
    parts = load_parts()
    for name in names:
        if not any(_meant(part, name) for part in parts):
            raise PartUnknown(name, [part.id for part in parts])
    return [part for part in parts if not names or any(_meant(part, name) for name in names)]


def _meant(part: Part, name: str) -> bool:
    return part.id == name or part.id.startswith(f"{name}-")
