"""What the witnesses said, joined into the NVIDIA side of a machine."""

from __future__ import annotations

from verl_env.machine.model import UNKNOWN, Nvidia
from verl_env.machine.nvidia.diagnose import faults, remarks
from verl_env.machine.nvidia.merge import devices_of, merge_devices
from verl_env.machine.nvidia.nvml_answer import LIBCUDA
from verl_env.records import NOTHING, record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.machine.model import Fact, Known, Problem
    from verl_env.machine.nvidia.diagnose import Evidence
    from verl_env.machine.nvidia.reading import GpuReading, Reading


@record
class NvidiaReport:
    """The NVIDIA side, where each fact of it was read, and what is wrong with it; ``nvidia`` is None for none."""

    nvidia: Nvidia | None
    sources: Mapping[str, str] = NOTHING
    problems: tuple[Problem, ...] = ()


def join(evidence: Evidence, environ: Mapping[str, str]) -> NvidiaReport:
    """The report on the evidence; ``environ`` is that of the probed host, for variables that hide GPUs."""
    if not evidence.present:
        return NvidiaReport(None, {"nvidia": "nvml, nvidia-smi, /proc, /sys"}, tuple(faults(evidence, UNKNOWN)))
    nvml, smi = evidence.nvml, evidence.smi
    said = (nvml.reading, *(smi.readings if smi else ()))
    driver, driver_source = _first("driver", (nvml.reading, *evidence.kernel.readings, *said[1:]))
    cuda, cuda_source = (nvml.libcuda[1], LIBCUDA) if nvml.libcuda[1] else _first("cuda", said)
    readings = (*said, *_bus(evidence))
    merged = merge_devices(readings)
    gpus = (*merged.gpus, *_unlisted(merged.gpus, smi.lost if smi else ()))
    devices = devices_of(gpus)
    sources = {"nvidia.driver": driver_source, "nvidia.cuda": cuda_source}
    sources |= {f"nvidia.devices.{fact}": ", ".join(tellers) for fact, tellers in merged.sources.items()}
    if merged.gpus:
        sources["nvidia.devices"] = next(reading.source for reading in readings if reading.devices)
    nvidia = Nvidia(driver=_driver(evidence, driver), cuda=cuda, devices=devices)
    problems = (*faults(evidence, driver), *remarks(evidence, gpus, devices, driver, environ))
    return NvidiaReport(nvidia, {fact: source for fact, source in sources.items() if source}, problems)


def _first(fact: str, readings: Sequence[Reading]) -> tuple[Known[str], str]:
    """The first known value, and who said it."""
    known = ((getattr(reading, fact), reading.source) for reading in readings)
    return next((pair for pair in known if pair[0] is not UNKNOWN), (UNKNOWN, ""))


def _driver(evidence: Evidence, driver: Known[str]) -> Fact[str]:
    """The driver; None where there is none."""
    return driver if driver or evidence.driver_seen or evidence.hung else None


def _bus(evidence: Evidence) -> tuple[Reading, ...]:
    """The GPUs of the bus; not where the driver says that it has none, nor where no device node leads to them.

    Where NVML has told everything the bus has nothing to add, and its table need not be read.
    """
    if evidence.nvml.complete:
        return ()
    withheld = evidence.kernel.loaded and not evidence.kernel.nodes
    if not evidence.asked and (evidence.none_found or withheld):
        return ()
    return (evidence.pci.reading(),) if evidence.pci.gpus else ()


def _unlisted(gpus: Sequence[GpuReading], lost: Sequence[GpuReading]) -> list[GpuReading]:
    """The GPUs that only an error message of nvidia-smi names."""
    known = {gpu.address for gpu in gpus}
    return [replace(gpu, index=None) for gpu in lost if gpu.address not in known]
