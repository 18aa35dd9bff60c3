"""One list of GPUs out of what the kernel, the tools and the tables say.

The kernel's list decides which GPUs there are and in which order: it is the order in which ROCm counts them. The
tools and the table of PCI ids only add what it leaves open. Without the kernel's list (no KFD, as under WSL) a tool's
list stands; without any of them the GPUs on the PCI bus that the table knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.machine import tables
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from verl_env.machine.amd.kfd import Node
    from verl_env.machine.amd.pci import AmdPciGpu
    from verl_env.machine.amd.reading import ToolReading

TABLE = "PCI id table"


@record
class Value:
    """A value and what said it."""

    value: str | int
    source: str


@record
class Gpu:
    """One GPU or partition; ``index`` is its place in ROCm's count."""

    index: int
    device_id: str | None
    bdf: str | None
    gfx: Value | None
    name: Value | None
    memory_bytes: Value | None

    @property
    def incomplete(self) -> bool:
        """Whether a tool could add something."""
        return None in {self.gfx, self.name, self.memory_bytes}

    @property
    def label(self) -> str:
        """The GPU in messages: ``MI300X (gfx942) at 0000:05:00.0``."""
        name = self.name.value if self.name else f"PCI id {self.device_id}" if self.device_id else "GPU"
        gfx = f" ({self.gfx.value})" if self.gfx else ""
        return f"{name}{gfx} at {self.bdf}" if self.bdf else f"{name}{gfx}"


def from_nodes(nodes: Sequence[Node], readings: Mapping[str, Sequence[ToolReading]], source: str) -> tuple[Gpu, ...]:
    """The kernel's GPUs, completed by the readings of the tools (by tool, in the order in which they count)."""
    gpus = []
    for index, node in enumerate(nodes):
        own = {tool: reading for tool, found in readings.items() if (reading := _of_node(node, found))}
        kernel = [(node.gfx, source)]
        gpus.append(
            Gpu(
                index=index,
                device_id=node.device_id,
                bdf=node.bdf,
                gfx=_first([*kernel, (_table_gfx(node.device_id), TABLE), *((r.gfx, tool) for tool, r in own.items())]),
                name=_name(node.device_id, own),
                memory_bytes=_first(
                    [(node.memory_bytes, source), *((r.memory_bytes, tool) for tool, r in own.items())]
                ),
            )
        )
    return tuple(gpus)


def from_readings(readings: Mapping[str, Sequence[ToolReading]]) -> tuple[str, tuple[Gpu, ...]]:
    """The list of the first tool that gives a target for each of its GPUs, else of the first that lists any."""
    lists = {
        tool: tuple(_of_reading(tool, place, one) for place, one in enumerate(found))
        for tool, found in readings.items()
        if found
    }
    complete = {tool: gpus for tool, gpus in lists.items() if all(gpu.gfx for gpu in gpus)}
    return next(iter([*complete.items(), *lists.items()]), ("", ()))


def from_pci(gpus: Iterable[AmdPciGpu]) -> tuple[Gpu, ...]:
    """The GPUs on the bus that are for computing: those of the table, and processing accelerators of any id."""
    ours = [gpu for gpu in gpus if is_compute(gpu)]
    return tuple(
        Gpu(
            index=index,
            device_id=gpu.device_id,
            bdf=gpu.bdf,
            gfx=_first([(_table_gfx(gpu.device_id), TABLE)]),
            name=_name(gpu.device_id, {}),
            memory_bytes=None,
        )
        for index, gpu in enumerate(ours)
    )


def is_compute(gpu: AmdPciGpu) -> bool:
    """Whether a GPU on the bus is known to be for computing; display adapters are not told apart without a driver."""
    return gpu.accelerator or gpu.device_id in tables.amd_pci_ids()


def split_integrated(gpus: Sequence[Gpu], accelerators: frozenset[str]) -> tuple[tuple[Gpu, ...], tuple[Gpu, ...]]:
    """The GPUs that count, and those that only drive a display beside them.

    Beside an Instinct GPU (a target of the table ``gfx``) a GPU is left out when no torch wheel is built for its
    target (table ``torch_index``) and the bus does not call it a processing accelerator: the graphics of the CPU or
    of the board. It keeps its index. Without an Instinct GPU all of them count: what cannot run a stack is then for
    the chooser to say.

    Args:
        gpus: Every GPU.
        accelerators: The PCI addresses of processing accelerators.
    """
    instinct = set(tables.amd_gfx())
    if not any(gpu.gfx and gpu.gfx.value in instinct for gpu in gpus):
        return tuple(gpus), ()
    integrated = [gpu for gpu in gpus if not may_compute(gpu) and gpu.bdf not in accelerators]
    return tuple(gpu for gpu in gpus if gpu not in integrated), tuple(integrated)


def may_compute(gpu: Gpu) -> bool:
    """Whether a stack could run on a GPU: an Instinct, a target of any torch wheel, or a target that is not known.

    The others are display graphics. What is wrong with those alone concerns nobody, as on a desktop whose CPU has
    graphics beside an NVIDIA GPU.
    """
    wheels = (index.gfx for index in tables.torch_rocm_indices())
    return gpu.gfx is None or gpu.gfx.value in set(tables.amd_gfx()).union(*wheels)


def card(bdf: str) -> str:
    """The PCI address without its function: partitions of one card differ in it."""
    return bdf.partition(".")[0]


def _of_node(node: Node, readings: Sequence[ToolReading]) -> ToolReading | None:
    """What a tool says of a node: by node number, by PCI address, by card, then by any GPU of the same kind."""
    exact = [reading for reading in readings if reading.node == node.number]
    exact += [reading for reading in readings if reading.node is None and reading.bdf == node.bdf]
    same_card = [reading for reading in readings if reading.bdf and card(reading.bdf) == card(node.bdf)]
    same_kind = [reading for reading in readings if reading.device_id and reading.device_id == node.device_id]
    return next(iter(exact + same_card + same_kind), None)


def _of_reading(tool: str, place: int, reading: ToolReading) -> Gpu:
    return Gpu(
        index=place,
        device_id=reading.device_id,
        bdf=reading.bdf,
        gfx=_first([(reading.gfx, tool), (_table_gfx(reading.device_id), TABLE)]),
        name=_name(reading.device_id, {tool: reading}),
        memory_bytes=_first([(reading.memory_bytes, tool)]),
    )


def _name(device_id: str | None, readings: Mapping[str, ToolReading]) -> Value | None:
    """The table's name; the tools come after it, as they print "AMD Radeon Graphics" for some Instinct cards."""
    row = tables.amd_pci_ids().get(device_id or "")
    known = f"AMD Instinct {row.name}" if row else None
    return _first([(known, TABLE), *((reading.name, tool) for tool, reading in readings.items())])


def _table_gfx(device_id: str | None) -> str | None:
    row = tables.amd_pci_ids().get(device_id or "")
    return row.gfx if row else None


def _first(options: Iterable[tuple[str | int | None, str]]) -> Value | None:
    """The first option that says something."""
    return next((Value(value, source) for value, source in options if value is not None), None)
