"""Output of ``amd-smi static --json`` and of ``rocm-smi ... --json``, in the forms of every ROCm release."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from verl_env.machine.amd.kfd import normal_gfx
from verl_env.machine.amd.reading import ToolReading

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

AMD_SMI = ("amd-smi", "static", "--json")
ROCM_SMI = ("rocm-smi", "--showid", "--showbus", "--showproductname", "--showmeminfo", "vram", "--json")

_HEX = re.compile(r"0x0*([0-9a-f]{1,4})")
_BDF = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])")
_CARD = re.compile(r"card(\d{1,4})")
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_START = re.compile(r"^[ \t]*[\[{]", re.MULTILINE)
_NOTHING = {"", "n/a", "none", "not supported", "unknown"}


def parse_amd_smi(text: str) -> tuple[ToolReading, ...]:
    """The GPUs of ``amd-smi static --json``: a bare list before ROCm 7, below ``gpu_data`` since.

    ``target_graphics_version`` is there from about ROCm 6.3. Text of any other form gives no GPU.
    """
    data = _json(text)
    if isinstance(data, dict):
        data = data.get("gpu_data")
    entries = data if isinstance(data, list) else []
    return tuple(_static(entry) for entry in entries if isinstance(entry, dict) and "gpu" in entry)


def parse_rocm_smi(text: str) -> tuple[ToolReading, ...]:
    """The cards of ``rocm-smi --json``, in their order; the keys differ by release, also in their capitals.

    ``Card model`` was the subsystem id before ROCm 6.1 and is the device id since, as ``Card Model``.
    """
    data = _json(text)
    cards = data if isinstance(data, dict) else {}
    numbered = sorted((int(match[1]), card) for card in cards if (match := _CARD.fullmatch(card)))
    return tuple(_card(cards[card]) for _, card in numbered if isinstance(cards[card], dict))


def _static(entry: dict[str, Any]) -> ToolReading:
    asic, bus, vram = (_section(entry, name) for name in ("asic", "bus", "vram"))
    return ToolReading(
        bdf=_bdf(bus.get("bdf")),
        device_id=_device_id(asic.get("device_id")),
        gfx=normal_gfx(_text(asic.get("target_graphics_version")) or ""),
        name=_text(asic.get("market_name")),
        memory_bytes=_size(vram.get("size")),
    )


def _card(card: dict[str, Any]) -> ToolReading:
    return ToolReading(
        node=_number(card.get("Node ID")),
        bdf=_bdf(card.get("PCI Bus")),
        device_id=_first(_device_id, card, "Device ID", "GPU ID", "Card Model"),
        gfx=normal_gfx(_text(card.get("GFX Version")) or ""),
        name=_first(_text, card, "Card Series", "Card series", "Device Name"),
        memory_bytes=_number(card.get("VRAM Total Memory (B)")) or None,
    )


def _json(text: str) -> object:
    """The first JSON document that begins a line, as the tools print warnings before it; None without one."""
    documents = (_decode(text, match.end() - 1) for match in _START.finditer(text))
    return next((document for document in documents if document), None)


def _decode(text: str, start: int) -> object:
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None


def _section(entry: dict[str, Any], name: str) -> dict[str, Any]:
    section = entry.get(name)
    return section if isinstance(section, dict) else {}


def _first(parse: Callable[[object], str | None], card: dict[str, Any], *keys: str) -> str | None:
    """What the first key that says something says."""
    return next((value for key in keys if (value := parse(card.get(key)))), None)


def _text(value: object) -> str | None:
    """A string that says something."""
    return value.strip() if isinstance(value, str) and value.strip().lower() not in _NOTHING else None


def _number(value: object) -> int | None:
    """A whole number, as JSON or as text."""
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004


def _size(value: object) -> int | None:
    """``{"value": 65520, "unit": "MB"}`` or ``"65520 MB"`` in bytes; the tools count in units of 1024."""
    if isinstance(value, dict):
        value = f"{value.get('value')} {value.get('unit')}"
    number, _, unit = str(value).strip().partition(" ")
    count, factor = _number(number), _UNITS.get(unit.strip().upper())
    return count * factor if count and factor else None


def _device_id(value: object) -> str | None:
    match = _HEX.fullmatch(str(value).strip().lower())
    return match[1].zfill(4) if match else None


def _bdf(value: object) -> str | None:
    """A PCI address as sysfs writes it."""
    match = _BDF.fullmatch(str(value).strip().lower())
    return f"{(match[1] or '')[-4:].zfill(4)}:{match[2]}" if match else None
