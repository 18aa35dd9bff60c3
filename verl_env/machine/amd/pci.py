"""AMD GPUs on the PCI bus, found without any driver."""

from __future__ import annotations

from verl_env.machine.plain import hexadecimal
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


@record
class AmdPciGpu:
    """One GPU: its PCI address, its device id in four hexadecimal digits, and its base class.

    ``accelerator`` is the base class "processing accelerator" (0x12), which no GPU with a display output has.
    """

    bdf: str
    device_id: str
    accelerator: bool


def find_gpus(roots: Roots) -> tuple[AmdPciGpu, ...]:
    """Every device of vendor 0x1002 that is a display controller (0x03) or a processing accelerator (0x12)."""
    found = (_gpu(roots, bdf) for bdf in roots.names(DEVICES))
    return tuple(gpu for gpu in found if gpu is not None)


def _gpu(roots: Roots, bdf: str) -> AmdPciGpu | None:
    directory = f"{DEVICES}/{bdf}"
    if (roots.read(f"{directory}/vendor") or "").strip().lower() != _VENDOR:
        return None
    device = (roots.read(f"{directory}/device") or "").strip().lower().removeprefix("0x")
    kind = (roots.read(f"{directory}/class") or "").strip().lower().removeprefix("0x")
    base = int(kind[:2], 16) if hexadecimal(kind, 6) else None
    if not hexadecimal(device, 4) or base not in {_DISPLAY, _ACCELERATOR}:
        return None
    return AmdPciGpu(bdf, device, base == _ACCELERATOR)
