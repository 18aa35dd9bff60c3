"""What ROCm's tools say of the GPUs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.model import Problem


@dataclass(frozen=True, slots=True)
class Reading:
    """One GPU in the output of one tool; None where the tool does not say.

    ``node`` is its number in the KFD topology, ``bdf`` its PCI address, ``device_id`` its PCI device id in four
    hexadecimal digits, ``memory_bytes`` its frame buffer.
    """

    node: int | None = None
    bdf: str | None = None
    device_id: str | None = None
    gfx: str | None = None
    name: str | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the tools said, by tool in the order in which they count, and what went wrong."""

    readings: Mapping[str, tuple[Reading, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
