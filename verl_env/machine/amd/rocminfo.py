"""Output of ``rocminfo``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.machine.amd.kfd import normal_gfx
from verl_env.machine.amd.reading import ToolReading

if TYPE_CHECKING:
    from collections.abc import Iterator

ROCMINFO = ("rocminfo",)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FIELD = re.compile(r"  (\w[\w ]*):\s*(\S.*)")
_CHIP = re.compile(r"(\d{1,5})\(0x[0-9a-f]+\)")


def parse_rocminfo(text: str) -> tuple[ToolReading, ...]:
    """The GPU agents, in order.

    An agent's own fields are indented by two blanks; its ISA names (``gfx9-4-generic`` among them) stand deeper and
    are no agents. CPU agents have a ``Name`` too, which is no target. A last line without its end may be cut and is
    left out.
    """
    readings = (_reading(fields) for fields in _agents(text.rpartition("\n")[0]))
    return tuple(reading for reading in readings if reading is not None)


def _agents(text: str) -> Iterator[dict[str, str]]:
    """The fields of each agent, which its name begins; the first of a kind counts."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        match = _FIELD.fullmatch(_COLOUR.sub("", line).rstrip())
        if match is None:
            continue
        if match[1] == "Name":
            yield fields
            fields = {}
        fields.setdefault(match[1], match[2])
    yield fields


def _reading(fields: dict[str, str]) -> ToolReading | None:
    gfx = normal_gfx(fields.get("Name", ""))
    if gfx is None:
        return None
    node, chip = fields.get("Node", ""), _CHIP.fullmatch(fields.get("Chip ID", ""))
    return ToolReading(
        node=int(node) if node.isascii() and node.isdigit() and len(node) < 6 else None,  # noqa: PLR2004
        device_id=f"{int(chip[1]):04x}" if chip else None,
        gfx=gfx,
        name=fields.get("Marketing Name") or None,
    )
