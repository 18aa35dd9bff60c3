"""KFD topologies as the kernel writes them, with invented GPUs."""

from __future__ import annotations

from dataclasses import dataclass, field

NODES = "/sys/class/kfd/kfd/topology/nodes"
PCI = "/sys/bus/pci/devices"

CPU = "cpu_cores_count 96\nsimd_count 0\nmem_banks_count 1\ngfx_target_version 0\nvendor_id 0\ndevice_id 0\n"
GIB = 1 << 30


@dataclass(frozen=True)
class FakeGpu:
    """One GPU node; ``version`` None is an old kernel, ``bdf`` its PCI address, ``banks`` heap types and sizes."""

    version: int | None
    device: int
    bdf: str
    minor: int
    banks: tuple[tuple[int, int], ...] = ((1, 192 * GIB),)
    extra: str = ""
    function: int = 0

    @property
    def location(self) -> int:
        bus, device = self.bdf.split(":")[1:]
        return int(bus, 16) << 8 | int(device.split(".")[0], 16) << 3 | self.function

    @property
    def properties(self) -> str:
        version = "" if self.version is None else f"gfx_target_version {self.version}\n"
        return (
            f"cpu_cores_count 0\nsimd_count 1216\n{version}vendor_id 4098\ndevice_id {self.device}\n"
            f"location_id {self.location}\ndomain {int(self.bdf.split(':')[0], 16)}\n"
            f"drm_render_minor {self.minor}\nunique_id 42\n{self.extra}"
        )


def mi300x(number: int = 0) -> FakeGpu:
    return FakeGpu(90402, 0x74A1, f"0000:{5 + 16 * number:02x}:00.0", 128 + number)


def igpu(minor: int = 140) -> FakeGpu:
    return FakeGpu(100306, 0x164E, "0000:c5:00.0", minor, banks=((1, GIB // 2),))


@dataclass
class FakeHost:
    """A host with these GPUs behind two CPU nodes, all of their device nodes, and the amdgpu driver."""

    gpus: tuple[FakeGpu, ...]
    rocm: str | None = "6.4.1-83"
    devices: bool = True
    kfd: bool = True
    bus: bool = True
    module_version: str | None = "6.12.12"
    more: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, str]:
        files = {f"{NODES}/{number}/properties": CPU for number in (0, 1)}
        for number, gpu in enumerate(self.gpus, start=2):
            files[f"{NODES}/{number}/properties"] = gpu.properties
            for place, (heap, size) in enumerate(gpu.banks):
                files[f"{NODES}/{number}/mem_banks/{place}/properties"] = f"heap_type {heap}\nsize_in_bytes {size}\n"
            if self.devices:
                files[f"/dev/dri/renderD{gpu.minor}"] = ""
            if self.bus:
                files |= pci(gpu.bdf, gpu.device, 0x03 if gpu.device == 0x164E else 0x12)
        files["/sys/module/amdgpu/"] = ""
        if self.module_version:
            files["/sys/module/amdgpu/version"] = f"{self.module_version}\n"
        if self.kfd:
            files["/dev/kfd"] = ""
        if self.rocm:
            files["/opt/rocm/.info/version"] = f"{self.rocm}\n"
        return files | self.more


def pci(bdf: str, device: int, base: int, vendor: int = 0x1002) -> dict[str, str]:
    """One device on the bus."""
    return {
        f"{PCI}/{bdf}/vendor": f"0x{vendor:04x}\n",
        f"{PCI}/{bdf}/device": f"0x{device:04x}\n",
        f"{PCI}/{bdf}/class": f"0x{base:02x}0000\n",
    }
