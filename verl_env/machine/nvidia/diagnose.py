"""From what the witnesses said to what is wrong."""

from __future__ import annotations

from verl_env.machine.nvidia import problems
from verl_env.machine.nvidia.nvml import VISIBLE
from verl_env.machine.plain import digits, release
from verl_env.records import record
from verl_env.versions import at_least

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from verl_env.machine.model import Known, NvidiaDevice, Problem
    from verl_env.machine.nvidia.kernel import KernelSide
    from verl_env.machine.nvidia.nvml_answer import NvmlAnswer
    from verl_env.machine.nvidia.pci import PciSide
    from verl_env.machine.nvidia.reading import GpuReading
    from verl_env.machine.nvidia.smi import SmiAnswer

#: Error numbers of NVML (nvml.h) and of CUDA (cuda.h).
NVML_NO_PERMISSION, NVML_LIBRARY_NOT_FOUND, NVML_VERSION_MISMATCH = 4, 12, 18
CUDA_SYSTEM_NOT_READY = 802

#: The first compute capability whose GPUs work with the open kernel modules only (Blackwell).
OPEN_MODULE_ONLY = "10.0"

#: Digits of the number of a driver branch; a libcuda of another numbering is no driver's.
_BRANCH = 3


@record
class Evidence:
    """Everything that was seen, before anything is concluded."""

    nvml: NvmlAnswer
    smi: SmiAnswer | None
    kernel: KernelSide
    pci: PciSide

    @property
    def asked(self) -> bool:
        """Whether a tool listed devices, or said that there are none."""
        readings = (self.nvml.reading, *(self.smi.readings if self.smi else ()))
        return any(reading.devices is not None for reading in readings)

    @property
    def none_found(self) -> bool:
        """Whether the driver itself says that it has no device."""
        return self.nvml.reading.devices == () or self.smi_says("no-devices")

    @property
    def mismatch(self) -> bool:
        """Whether kernel module and libraries differ."""
        return self.nvml.code == NVML_VERSION_MISMATCH or self.smi_says("mismatch")

    @property
    def hung(self) -> bool:
        """Whether a tool had to be killed."""
        return self.nvml.hung is not None or (self.smi is not None and self.smi.hung is not None)

    @property
    def driver_seen(self) -> bool:
        """Whether a driver is there: the kernel shows it, WSL passes it on, or a tool fails in a way that needs one."""
        through_wsl = self.kernel.wsl and self.nvml.code not in {None, NVML_LIBRARY_NOT_FOUND}
        refused = self.nvml.code == NVML_NO_PERMISSION or self.smi_says("failed") or self.smi_says("no-permission")
        told = self.asked or self.none_found or self.mismatch or refused
        return bool(self.kernel.loaded or self.kernel.nodes or through_wsl or told)

    @property
    def present(self) -> bool:
        """Whether there is anything of NVIDIA that could be used: a driver, or a GPU without one."""
        return bool(self.driver_seen or self.hung or self.pci.gpus)

    def smi_says(self, key: str) -> bool:
        """Whether nvidia-smi printed one of its messages."""
        return self.smi is not None and self.smi.says(key)


def faults(evidence: Evidence, driver: Known[str]) -> Iterator[Problem]:
    """Why the driver does not answer as it should; nothing where it does."""
    nvml, smi = evidence.nvml, evidence.smi
    if nvml.hung is not None:
        yield problems.driver_wedged("NVML", nvml.hung, killable=nvml.killable)
    elif smi is not None and smi.hung is not None:
        yield problems.driver_wedged("nvidia-smi", smi.hung, killable=smi.killable)
    if nvml.signal is not None:
        yield problems.nvml_crash(nvml.signal)
    if evidence.hung or not evidence.present or (evidence.asked and not evidence.none_found):
        return
    yield next(_reasons(evidence, driver))


def _reasons(evidence: Evidence, driver: Known[str]) -> Iterator[Problem]:
    """Why no device was listed, the surest reason first."""
    nvml, kernel, gpus, smi = evidence.nvml, evidence.kernel, evidence.pci.gpus, evidence.smi
    if not evidence.driver_seen:
        yield problems.driver_missing(gpus)
    if evidence.mismatch:
        yield problems.driver_library_mismatch(driver or None, nvml.library or (smi.library if smi else None))
    if evidence.none_found:
        yield problems.no_devices(gpus, needs_open_module=_needs_open_module(evidence))
    if kernel.loaded and not kernel.nodes:
        yield problems.no_device_node(driver or None, gpus)
    if nvml.code == NVML_NO_PERMISSION or evidence.smi_says("no-permission"):
        yield problems.no_permission()
    if evidence.smi_says("no-library") or (nvml.code == NVML_LIBRARY_NOT_FOUND and not evidence.smi_says("failed")):
        yield problems.nvml_missing()
    said = (smi.said or {}).get("failed", "") if smi else ""
    yield problems.nvml_unknown_error(said or nvml.text)


def _needs_open_module(evidence: Evidence) -> bool:
    from verl_env.machine.tables import nvidia_pci_ids  # noqa: PLC0415  (slow to load, and seldom needed)

    rows = [nvidia_pci_ids().get(gpu.device_id) for gpu in evidence.pci.gpus]
    new = any(row is not None and at_least(row.compute_capability, OPEN_MODULE_ONLY) for row in rows)
    return new and evidence.kernel.open_module is False


def remarks(
    evidence: Evidence,
    gpus: Sequence[GpuReading],
    devices: Sequence[NvidiaDevice],
    driver: Known[str],
    env: Mapping[str, str],
) -> Iterator[Problem]:
    """What is worth saying about the devices that were found."""
    if lost := [gpu for gpu in gpus if gpu.lost is not None]:
        yield problems.device_lost(lost)
    if state := _fabric(evidence, gpus):
        yield problems.fabric_not_ready(state)
    yield from _modes(gpus, devices)
    path, cuda = evidence.nvml.libcuda
    if path and driver and _is_foreign(path, driver):
        yield problems.cuda_compat(path, driver, cuda or None)
    if VISIBLE in env and _hides(env[VISIBLE], devices):
        yield problems.visible_devices(env[VISIBLE])


def _fabric(evidence: Evidence, gpus: Sequence[GpuReading]) -> str | None:
    """The state of a fabric that is not up; NVML's word, else that of cuInit."""
    states = dict.fromkeys(gpu.fabric for gpu in gpus if isinstance(gpu.fabric, str) and gpu.fabric != "Completed")
    if states:
        return f"state {', '.join(states)}"
    return "cuInit returns 802" if evidence.nvml.cuda_init == CUDA_SYSTEM_NOT_READY else None


def _modes(gpus: Sequence[GpuReading], devices: Sequence[NvidiaDevice]) -> Iterator[Problem]:
    capabilities: dict[str, list[int]] = {}
    for device in devices:
        if isinstance(device.compute_capability, str):
            capabilities.setdefault(device.compute_capability, []).append(device.index)
    if len(capabilities) > 1:
        yield problems.mixed_gpus(capabilities)
    for mode, problem in (
        ("Exclusive_Process", problems.exclusive_process),
        ("Prohibited", problems.compute_prohibited),
    ):
        if indices := sorted({device.index for device in devices if device.compute_mode == mode}):
            yield problem(indices)
    sliced = {gpu.slice_of for gpu in gpus}
    if empty := [
        gpu.index for gpu in gpus if gpu.mig_mode is True and gpu.index is not None and gpu.index not in sliced
    ]:
        yield problems.mig_empty(empty)


def _is_foreign(library: str, driver: str) -> bool:
    """Whether a libcuda, by the version in its name, belongs to another driver than the kernel's."""
    _, found, version = library.rpartition("libcuda.so.")
    return bool(found) and release(version, 2, 9) and version.index(".") >= _BRANCH and version != driver


def _hides(value: str, devices: Sequence[NvidiaDevice]) -> bool:
    """Whether fewer devices are visible than there are; CUDA stops reading at the first name it does not know."""
    visible = set()
    for name in (part.strip() for part in value.split(",")):
        number = int(name) if digits(name, 5) else None
        known = number is not None and number < len(devices)
        uuids = [
            device.uuid for device in devices if isinstance(device.uuid, str) and name and device.uuid.startswith(name)
        ]
        if not known and not uuids:
            break
        visible.add(str(number) if known else uuids[0])
    return len(visible) < len(devices)
