"""``nvidia-smi --query-gpu=... --format=csv`` and ``nvidia-smi -L``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.reading import (
    GpuReading,
    Reading,
    address_of,
    bytes_of,
    capability_of,
    device_id_of,
    text_of,
    value_of,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CSV_SOURCE = "nvidia-smi --query-gpu"
LIST_SOURCE = "nvidia-smi -L"
#: What is asked for; ``compute_cap`` is the one fact that the XML does not have.
FIELDS = (
    "index",
    "name",
    "uuid",
    "driver_version",
    "compute_cap",
    "memory.total",
    "compute_mode",
    "mig.mode.current",
    "pci.bus_id",
    "pci.device_id",
)

_GPU_LINE = re.compile(r"GPU (\d{1,5}): (.{0,200}?) \(UUID: ([^)]+)\)", re.ASCII)
_MIG_LINE = re.compile(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: ([^)]+)\)")


def parse_smi_csv(data: bytes | str) -> Reading:
    """The rows below the first line that names fields; a row with another number of cells is passed over."""
    rows = list(_rows(text_of(data)))
    gpus = tuple(_gpu(row, number) for number, row in enumerate(rows))
    drivers = (version_of(row.get("driver_version")) for row in rows)
    driver = next((version for version in drivers if version is not UNKNOWN), UNKNOWN)
    return Reading(CSV_SOURCE, driver=driver, devices=gpus or None)


def _rows(text: str) -> Iterator[Mapping[str, str]]:
    """The rows by field, without the units of the header (``memory.total [MiB]``)."""
    header: list[str] | None = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        names = [cell.partition(" [")[0] for cell in cells]
        if header is None:
            header = names if set(names) & set(FIELDS) else None
        elif len(cells) == len(header):
            yield dict(zip(header, cells, strict=True))


def _gpu(row: Mapping[str, str], number: int) -> GpuReading:
    index = row.get("index", "")
    return GpuReading(
        index=int(index) if re.fullmatch(r"\d{1,5}", index, re.ASCII) else number,
        name=value_of(row.get("name")),
        uuid=value_of(row.get("uuid")),
        compute_capability=capability_of(row.get("compute_cap")),
        memory_bytes=bytes_of(row.get("memory.total")),
        compute_mode=value_of(row.get("compute_mode")),
        address=address_of(row.get("pci.bus_id")),
        device_id=device_id_of(row.get("pci.device_id")),
        mig_mode={"Enabled": True, "Disabled": False}.get(row.get("mig.mode.current", "").rstrip("*")),
        fabric=value_of(row.get("fabric.state")),
    )


def parse_smi_list(data: bytes | str) -> Reading:
    """GPUs and their slices, by name and UUID."""
    gpus: list[GpuReading] = []
    for line in text_of(data).splitlines():
        if gpu := _GPU_LINE.match(line):
            gpus.append(GpuReading(index=int(gpu[1]), name=value_of(gpu[2]), uuid=value_of(gpu[3])))
        elif gpus and (part := _MIG_LINE.match(line)):
            parent = gpus[-1].index
            whole = next(gpu.name for gpu in gpus if gpu.index == parent)
            name = f"{whole} MIG {part[1]}" if isinstance(whole, str) else f"MIG {part[1]}"
            gpus.append(GpuReading(index=parent, name=name, uuid=value_of(part[2]), slice_of=parent))
    return Reading(LIST_SOURCE, devices=tuple(gpus) or None)
