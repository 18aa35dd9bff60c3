"""AMD GPUs on the PCI bus, found without any driver."""

from __future__ import annotations

import re

from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.roots import Roots

DEVICES = "/sys/bus/pci/devices"
#: The GPU of the Windows host under WSL, where it is not on the bus.
WSL = "/dev/dxg"

_VENDOR = "0x1002"
_DISPLAY = 0x03
_ACCELERATOR = 0x12
_ID = r"0x([0-9a-f]{4})"
_CLASS = r"0x([0-9a-f]{2})[0-9a-f]{4}"


@record
class PciGpu:
    """One GPU: its PCI address, its device id in four hexadecimal digits, and its base class.

    ``accelerator`` is the base class "processing accelerator" (0x12), which no GPU with a display output has.
    """

    bdf: str
    device_id: str
    accelerator: bool


def find_gpus(roots: Roots) -> tuple[PciGpu, ...]:
    """Every device of vendor 0x1002 that is a display controller (0x03) or a processing accelerator (0x12)."""
    found = (_gpu(roots, bdf) for bdf in roots.names(DEVICES))
    return tuple(gpu for gpu in found if gpu is not None)


def _gpu(roots: Roots, bdf: str) -> PciGpu | None:
    directory = f"{DEVICES}/{bdf}"
    if (roots.read(f"{directory}/vendor") or "").strip().lower() != _VENDOR:
        return None
    device = re.fullmatch(_ID, (roots.read(f"{directory}/device") or "").strip().lower())
    kind = re.fullmatch(_CLASS, (roots.read(f"{directory}/class") or "").strip().lower())
    base = int(kind[1], 16) if kind else None
    if device is None or base not in {_DISPLAY, _ACCELERATOR}:
        return None
    return PciGpu(bdf, device[1], base == _ACCELERATOR)
