"""The readings of all witnesses put together: the first that knows a fact counts, and is named as its source."""

from __future__ import annotations

from verl_env.machine.model import UNKNOWN, NvidiaDevice
from verl_env.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verl_env.machine.nvidia.reading import GpuReading, Reading

_FACTS = ("name", "uuid", "compute_capability", "memory_bytes", "compute_mode")
_OTHER = ("address", "device_id", "mig_mode", "fabric")
#: What a slice has of its GPU.
_INHERITED = ("compute_capability", "compute_mode", "device_id", "address")
_TABLE = "table of PCI ids"
_NAMES = "table of names"


class MergedGpus:
    """GPUs with their slices, and for each fact of a device the witnesses it came from."""

    __slots__ = ("gpus", "sources")

    def __init__(self, gpus: list[GpuReading]) -> None:
        self.gpus = gpus
        self.sources: dict[str, dict[str, None]] = {}

    def note(self, fact: str, source: str) -> None:
        """Remember that a witness has told a fact."""
        if fact in _FACTS:
            self.sources.setdefault(fact, {})[source] = None


def merge_devices(readings: Sequence[Reading]) -> MergedGpus:
    """The devices of the first reading that lists any, completed from the others and from the tables."""
    listing = next((reading for reading in readings if reading.devices is not None), None)
    if listing is None:
        return MergedGpus([])
    merged = MergedGpus(list(listing.devices or ()))
    for gpu in merged.gpus:
        for fact in _FACTS:
            if getattr(gpu, fact) is not UNKNOWN:
                merged.note(fact, listing.source)
    for other in readings:
        if other is not listing and other.devices:
            _add_slices(merged, other.source, other.devices)
            _complete(merged, other.source, other.devices)
    _inherit(merged)
    _look_up(merged)
    return merged


def devices_of(gpus: Iterable[GpuReading]) -> tuple[NvidiaDevice, ...]:
    """What CUDA can use: slices instead of their GPU, and no GPU that does not answer."""
    known = list(gpus)
    sliced = {gpu.slice_of for gpu in known if gpu.slice_of is not None}
    usable = [gpu for gpu in known if gpu.lost is None and (gpu.slice_of is not None or gpu.index not in sliced)]
    return tuple(_device(gpu, place) for place, gpu in enumerate(sorted(usable, key=lambda gpu: gpu.index or 0)))


def _device(gpu: GpuReading, place: int) -> NvidiaDevice:
    return NvidiaDevice(
        index=gpu.index if gpu.index is not None else place,
        name=gpu.name,
        uuid=gpu.uuid,
        compute_capability=gpu.compute_capability,
        memory_bytes=gpu.memory_bytes,
        mig=gpu.slice_of is not None,
        compute_mode=gpu.compute_mode,
        pci_id=gpu.device_id or UNKNOWN,
    )


def _add_slices(merged: MergedGpus, source: str, others: Sequence[GpuReading]) -> None:
    """Take over slices from a reading that lists them, when no earlier one did."""
    if any(gpu.slice_of is not None for gpu in merged.gpus):
        return
    for gpu in tuple(merged.gpus):
        other = _same(gpu, others) if gpu.index is not None else None
        parent = other.index if other is not None else None
        parts = [part for part in others if part.slice_of is not None and part.slice_of == parent]
        merged.gpus += [replace(part, index=gpu.index, slice_of=gpu.index) for part in parts]
        for part in parts:
            for fact in _FACTS:
                if getattr(part, fact) is not UNKNOWN:
                    merged.note(fact, source)


def _complete(merged: MergedGpus, source: str, others: Sequence[GpuReading]) -> None:
    """Fill what is not known of a device from another reading of the same device."""
    for gpu, other in _pairs(merged.gpus, others):
        news = {
            fact: getattr(other, fact)
            for fact in (*_FACTS, *_OTHER)
            if getattr(gpu, fact) in {UNKNOWN, None} and getattr(other, fact) not in {UNKNOWN, None}
        }
        merged.gpus = [replace(known, **news) if known is gpu else known for known in merged.gpus]
        for fact in news:
            merged.note(fact, source)


def _pairs(gpus: Sequence[GpuReading], others: Sequence[GpuReading]) -> list[tuple[GpuReading, GpuReading]]:
    """Each GPU with the other reading of it, and its slices with that one's, in their order."""
    pairs = []
    for gpu in gpus:
        other = _same(gpu, others) if gpu.slice_of is None else None
        if other is None:
            continue
        pairs.append((gpu, other))
        if gpu.index is not None and other.index is not None:
            parts = [part for part in gpus if part.slice_of == gpu.index]
            pairs += zip(parts, (part for part in others if part.slice_of == other.index), strict=False)
    return pairs


def _same(gpu: GpuReading, others: Sequence[GpuReading]) -> GpuReading | None:
    """The other reading of a GPU: by UUID, by place on the bus, or by number where a place is not known of both.

    A GPU that does not answer is in no other list, and those that follow it there may have other numbers.
    """
    whole = [other for other in others if other.slice_of is None and gpu.lost is None]
    for fact in ("uuid", "address", "index"):
        key = getattr(gpu, fact)
        alike = [other for other in whole if key not in {UNKNOWN, None} and getattr(other, fact) == key]
        if len(alike) == 1 and (fact != "index" or gpu.address is None or alike[0].address is None):
            return alike[0]
    return None


def _inherit(merged: MergedGpus) -> None:
    whole = {gpu.index: gpu for gpu in merged.gpus if gpu.slice_of is None}
    for place, gpu in enumerate(merged.gpus):
        parent = whole.get(gpu.slice_of) if gpu.slice_of is not None else None
        if parent is not None:
            news = {fact: getattr(parent, fact) for fact in _INHERITED if getattr(gpu, fact) in {UNKNOWN, None}}
            merged.gpus[place] = replace(gpu, **news)


def _look_up(merged: MergedGpus) -> None:
    """The compute capability by PCI id, else by name, where no witness has told it."""
    for place, gpu in enumerate(merged.gpus):
        if isinstance(gpu.compute_capability, str) or gpu.lost is not None:
            continue
        capability, source = _in_tables(gpu)
        if capability is not None:
            merged.gpus[place] = replace(gpu, compute_capability=capability)
            merged.note("compute_capability", source)


def _in_tables(gpu: GpuReading) -> tuple[str | None, str]:
    from verl_env.machine.errors import GpuUnknownError  # noqa: PLC0415  (slow to load, and seldom needed)
    from verl_env.machine.gpu_names import find_gpu  # noqa: PLC0415
    from verl_env.machine.tables import nvidia_pci_ids  # noqa: PLC0415

    if row := nvidia_pci_ids().get(gpu.device_id or ""):
        return row.compute_capability, _TABLE
    try:
        return find_gpu(gpu.name).compute_capability if isinstance(gpu.name, str) else None, _NAMES
    except GpuUnknownError:
        return None, _NAMES
