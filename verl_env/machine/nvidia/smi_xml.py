"""``nvidia-smi -q -x``: the XML of versions 11 to 13, and of drivers that rename its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.reading import (
    GpuReading,
    Reading,
    address_of,
    bytes_of,
    device_id_of,
    text_of,
    value_of,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any
    from xml.etree.ElementTree import Element

    from verl_env.machine.model import Fact, Known

SOURCE = "nvidia-smi -q -x"

#: Field names, newest first: driver 610 calls the driver KMD and its CUDA version UMD, and deprecates the old names.
_DRIVER = ("kmd_version", "driver_version")
_CUDA = ("cuda_umd_version", "umd_version", "cuda_version")
_PIECE = 4096


def parse_smi_xml(data: bytes | str) -> Reading:
    """Everything up to the end, or up to the place where the text is cut off or is no XML any more."""
    text = text_of(data)
    start = text.find("<nvidia_smi_log")
    if start < 0:
        return Reading(SOURCE)
    versions: dict[str, str] = {}
    gpus: list[GpuReading] = []
    for element in _elements(text[start:]):
        if element.tag == "gpu":
            gpus.extend(_gpu(element, len({gpu.index for gpu in gpus})))
        elif element.tag in _DRIVER + _CUDA:
            versions.setdefault(element.tag, element.text or "")
    return Reading(
        SOURCE, driver=_version(versions, _DRIVER), cuda=_version(versions, _CUDA), devices=tuple(gpus) or None
    )


def _elements(text: str) -> list[Element]:
    """The elements that end before the first fault."""
    from xml.etree.ElementTree import ParseError, XMLPullParser  # noqa: PLC0415  (a fallback, and slow to load)

    parser: Any = XMLPullParser(("end",))
    ended: list[Element] = []
    try:
        for place in range(0, len(text), _PIECE):
            parser.feed(text[place : place + _PIECE])
            ended.extend(element for _, element in parser.read_events())
    except (ParseError, ValueError):
        return ended
    return ended


def _version(versions: dict[str, str], names: Iterable[str]) -> Known[str]:
    found = (version_of(versions.get(name)) for name in names)
    return next((version for version in found if version is not UNKNOWN), UNKNOWN)


def _gpu(gpu: Element, index: int) -> Iterator[GpuReading]:
    """One GPU, then its slices; the XML numbers no GPU, and lists them in the order of their numbers."""
    pci = gpu.find("pci")
    current = _text(gpu, "mig_mode/current_mig")
    whole = GpuReading(
        index=index,
        name=_value(gpu, "product_name"),
        uuid=_value(gpu, "uuid"),
        memory_bytes=bytes_of(_text(gpu, "fb_memory_usage/total")),
        compute_mode=_value(gpu, "compute_mode"),
        address=address_of(gpu.get("id")),
        device_id=device_id_of(_text(pci, "pci_device_id")) if pci is not None else None,
        mig_mode={"Enabled": True, "Disabled": False}.get((current or "").rstrip("*")),
        fabric=_value(gpu, "fabric/state"),
    )
    yield whole
    for part in gpu.iterfind("mig_devices/mig_device"):
        yield GpuReading(index=index, memory_bytes=bytes_of(_text(part, "fb_memory_usage/total")), slice_of=index)


def _text(element: Element, path: str) -> str | None:
    found = element.find(path)
    return found.text if found is not None else None


def _value(element: Element, path: str) -> Fact[str]:
    return value_of(_text(element, path))
