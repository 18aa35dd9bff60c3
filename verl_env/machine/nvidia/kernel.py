"""What the kernel says of the NVIDIA driver, without a call into it."""

from __future__ import annotations

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.reading import Reading, text_of, version_of
from verl_env.machine.plain import digits
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.model import Known
    from verl_env.machine.roots import Roots

MODULE = "/sys/module/nvidia/version"
PROC = "/proc/driver/nvidia/version"

_NODE = "nvidia"


@record
class KernelSide:
    """The driver as the kernel shows it.

    Args:
        readings: Its version, one reading for each file that states it, best first.
        loaded: Whether the kernel module is there, its version stated or not.
        open_module: Whether it is the open one; UNKNOWN when nothing says.
        nodes: The device nodes of the GPUs, ``/dev/nvidia0``.
        wsl: Whether there is ``/dev/dxg``, through which WSL reaches the GPUs of Windows, of whatever make.
    """

    readings: tuple[Reading, ...]
    loaded: bool
    open_module: Known[bool]
    nodes: tuple[str, ...]
    wsl: bool


def read_kernel(roots: Roots) -> KernelSide:
    """What the kernel shows of the driver."""
    module, proc = roots.read(MODULE), roots.read(PROC)
    driver, open_module = parse_proc_version(proc or "")
    stated = (Reading(MODULE, driver=version_of(module)), Reading(PROC, driver=driver))
    nodes = [name for name in roots.names("/dev") if name.startswith(_NODE) and digits(name[len(_NODE) :])]
    return KernelSide(
        readings=tuple(reading for reading in stated if reading.driver is not UNKNOWN),
        loaded=module is not None or proc is not None or roots.exists("/sys/module/nvidia"),
        open_module=open_module,
        nodes=tuple(f"/dev/{name}" for name in nodes),
        wsl=roots.exists("/dev/dxg"),
    )


def parse_proc_version(data: bytes | str) -> tuple[Known[str], Known[bool]]:
    """The version in ``/proc/driver/nvidia/version``, and whether the module is the open one.

    Both forms of the line are read: ``NVIDIA UNIX Open Kernel Module for x86_64  580.95.05 ...`` and ``NVIDIA UNIX
    x86_64 Kernel Module  535.183.01 ...``. The line about GCC, which may lack its version, does not matter.
    """
    for line in text_of(data).splitlines():
        before, _, after = line.partition("Kernel Module")
        words = after.split()
        words = words[2:] if words[:1] == ["for"] else words
        if before.startswith("NVRM version:") and words and digits(words[0][0]):
            return version_of(words[0]), before.endswith("Open ")
    return UNKNOWN, UNKNOWN
