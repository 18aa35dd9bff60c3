"""What ROCm's tools say of the GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.model import Problem


@record
class ToolReading:
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


@record
class ToolAnswers:
    """What the tools said, by tool in the order in which they count, and what went wrong."""

    readings: Mapping[str, tuple[ToolReading, ...]] = NOTHING
    problems: tuple[Problem, ...] = ()
