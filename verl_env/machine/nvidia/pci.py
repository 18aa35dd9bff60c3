"""NVIDIA devices on the PCI bus, from sysfs: the one witness of a GPU without a driver."""

from __future__ import annotations

import os

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.reading import GpuReading, Reading, address_of
from verl_env.machine.plain import hexadecimal
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.roots import Roots

SOURCE = "pci"
BUS = "/sys/bus/pci/devices"

_VENDOR = "0x10de"
#: VGA and 3D controllers.
_GPU_CLASSES = ("0x0300", "0x0302")
#: "Other bridge": NVSwitch, as lspci shows it on HGX boards.
_SWITCH_CLASS = "0x0680"


@record
class PciGpu:
    """One GPU on the bus, the driver it is bound to included; None for none."""

    address: str
    device_id: str
    bound_to: str | None


@record
class PciSide:
    """The NVIDIA devices on the bus."""

    gpus: tuple[PciGpu, ...] = ()
    switches: int = 0

    def reading(self) -> Reading:
        """The GPUs with what the table of PCI ids says of them; an id that it does not hold stays without a name."""
        return Reading(SOURCE, devices=tuple(map(_described, self.gpus)))


def read_pci(roots: Roots) -> PciSide:
    """The GPUs, in the order of their addresses, and the number of NVSwitches."""
    gpus, switches = [], 0
    for name in roots.names(BUS):
        directory = f"{BUS}/{name}"
        if _line(roots, f"{directory}/vendor") != _VENDOR:
            continue
        kind = _line(roots, f"{directory}/class")[:6]
        switches += kind == _SWITCH_CLASS
        device = _line(roots, f"{directory}/device").removeprefix("0x")
        if kind in _GPU_CLASSES and hexadecimal(device, 4):
            gpus.append(PciGpu(address_of(name) or name, device, _bound_to(roots, f"{directory}/driver")))
    return PciSide(tuple(gpus), switches)


def _line(roots: Roots, path: str) -> str:
    return (roots.read(path, max_bytes=64) or "").strip().lower()


def _bound_to(roots: Roots, link: str) -> str | None:
    try:
        return os.readlink(roots.path(link)).rpartition("/")[2] or None  # noqa: PTH115
    except OSError:
        return None


def _described(gpu: PciGpu) -> GpuReading:
    from verl_env.machine.tables import nvidia_pci_ids  # noqa: PLC0415  (slow to load, and seldom needed)

    row = nvidia_pci_ids().get(gpu.device_id)
    return GpuReading(
        name=" / ".join(row.names) if row else UNKNOWN,
        compute_capability=row.compute_capability if row else UNKNOWN,
        address=gpu.address,
        device_id=gpu.device_id,
    )
