"""Which parts are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.verify.errors import PartUnknownError
from verl_env.verify.load import load_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.verify.model import Part


def select(names: Sequence[str]) -> list[Part]:
    """The parts that are named; a name that no part has means those that begin with it and a hyphen. All without names.

    Raises:
        PartUnknownError: a name that no part has.
    """
    parts = load_parts()
    meant = {part.id for name in names for part in _meant(parts, name)}
    return [part for part in parts if not names or part.id in meant]


def _meant(parts: Sequence[Part], name: str) -> list[Part]:
    exact = [part for part in parts if part.id == name]
    meant = exact or [part for part in parts if part.id.startswith(f"{name}-")]
    if not meant:
        raise PartUnknownError(name, [part.id for part in parts])
    return meant
