"""GPUs as the kernel's compute driver (KFD) lists them in sysfs: nothing of ROCm's user space is needed."""

from __future__ import annotations

from verl_env.machine.plain import digits, hexadecimal
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.roots import Roots

NODES = "/sys/class/kfd/kfd/topology/nodes"

#: Frame buffer memory, visible to the CPU and not (kfd_crat.h: HSA_MEM_HEAP_TYPE_FB_PUBLIC, _FB_PRIVATE).
_FRAME_BUFFER = {1, 2}
_PREFIX = "gfx"


@record
class Node:
    """One GPU of the topology, or one partition of a GPU.

    ``number`` is the node's place in the topology, ``gfx`` is None on kernels that do not say it; ``device_id`` is the
    PCI device id in four hexadecimal digits, ``bdf`` the PCI address with the partition as its function, and
    ``render_minor`` the number of its device node in ``/dev/dri``, None where it has none.
    """

    number: int
    gfx: str | None
    device_id: str | None
    bdf: str
    render_minor: int | None
    unique_id: int | None
    memory_bytes: int | None


@record
class Topology:
    """The GPU nodes in the order in which ROCm counts them, and the nodes that this process may not read."""

    nodes: tuple[Node, ...]
    hidden: tuple[int, ...]


def gfx_of_version(version: int) -> str | None:
    """The target of a ``gfx_target_version``, 90402 -> ``gfx942``; None for 0 and for numbers that are none.

    The number is major * 10000 + minor * 100 + step; minor and step are printed in hexadecimal, so that 90010 is
    ``gfx90a`` (Linux: drivers/gpu/drm/amd/amdkfd/kfd_device.c, the table of ``gfx_target_version``).
    """
    major, minor, step = version // 10000, version // 100 % 100, version % 100
    if not 6 <= major <= 19 or minor > 15 or step > 15:  # noqa: PLR2004
        return None
    return f"gfx{major}{minor:x}{step:x}"


def normal_gfx(text: str) -> str | None:
    """A target as a tool prints it in ROCm's own spelling, or None.

    rocm-smi 6.x writes the raw version without its zeros: ``gfx9010`` is major 9, minor 0, step 10.
    """
    text = text.strip().partition(":")[0]
    number = text.removeprefix(_PREFIX)
    if not text.startswith(_PREFIX):
        return None
    if digits(number, 6) and len(number) > 3:  # noqa: PLR2004
        split = 2 if int(number[:2]) in range(10, 20) else 1
        major, rest = number[:split], number[split:]
        if len(rest) > 2:  # noqa: PLR2004
            return gfx_of_version(int(major) * 10000 + int(rest[:-2]) * 100 + int(rest[-2:]))
    return text if 3 <= len(number) <= 5 and hexadecimal(number, len(number)) else None  # noqa: PLR2004


def parse_properties(text: str) -> dict[str, int]:
    """The ``name value`` lines of a properties file; lines of another form are left out."""
    lines = (line.split() for line in text.splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and digits(line[1])}  # noqa: PLR2004


def read_topology(roots: Roots) -> Topology | None:
    """Every GPU node; None where the kernel has no KFD.

    A node that a scheduler or a container withholds can be seen but not read (KFD answers EPERM on read).
    """
    if not roots.exists(NODES):
        return None
    nodes, hidden = [], []
    for number in sorted(int(name) for name in roots.names(NODES) if name.isascii() and name.isdigit()):
        path = f"{NODES}/{number}/properties"
        text = roots.read(path)
        if text is None:
            hidden += [number] if roots.exists(path) else []
        elif (properties := parse_properties(text)).get("simd_count"):
            nodes.append(_node(roots, number, properties))
    return Topology(tuple(nodes), tuple(hidden))


def _node(roots: Roots, number: int, properties: dict[str, int]) -> Node:
    return Node(
        number=number,
        gfx=gfx_of_version(properties.get("gfx_target_version", 0)),
        device_id=f"{device:04x}" if (device := properties.get("device_id", 0)) else None,
        bdf=_bdf(properties.get("domain", 0), properties.get("location_id", 0)),
        render_minor=properties.get("drm_render_minor") or None,
        unique_id=properties.get("unique_id") or None,
        memory_bytes=_memory(roots, number) or properties.get("local_mem_size") or None,
    )


def _memory(roots: Roots, number: int) -> int:
    """The frame buffer of a node: the sum of its memory banks."""
    banks = f"{NODES}/{number}/mem_banks"
    found = (parse_properties(roots.read(f"{banks}/{name}/properties") or "") for name in roots.names(banks))
    return sum(bank.get("size_in_bytes", 0) for bank in found if bank.get("heap_type") in _FRAME_BUFFER)


def _bdf(domain: int, location: int) -> str:
    """The PCI address as sysfs and the tools write it; ``location_id`` is bus << 8 | device << 3 | function."""
    return f"{domain:04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}.{location & 7}"
