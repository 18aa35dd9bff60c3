"""The NVIDIA side of a machine: the witnesses asked in turn, their answers joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.machine.model import UNKNOWN, Nvidia
from verl_env.machine.nvidia.diagnose import VISIBLE, Evidence, faults, remarks
from verl_env.machine.nvidia.kernel import read_kernel
from verl_env.machine.nvidia.merge import devices_of, merge_devices
from verl_env.machine.nvidia.nvml import SCRIPT, start_nvml
from verl_env.machine.nvidia.nvml_answer import LIBCUDA, read_nvml
from verl_env.machine.nvidia.pci import read_pci
from verl_env.records import NOTHING, record, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from verl_env.machine.child import Children
    from verl_env.machine.model import Fact, Known, Problem
    from verl_env.machine.nvidia.reading import GpuReading, Reading
    from verl_env.machine.nvidia.smi import SmiAnswer
    from verl_env.machine.roots import Roots


@record
class NvidiaReport:
    """The NVIDIA side, where each fact of it was read, and what is wrong with it; ``nvidia`` is None for none."""

    nvidia: Nvidia | None
    sources: Mapping[str, str] = NOTHING
    problems: tuple[Problem, ...] = ()


class NvidiaProbe:
    """A probe that is under way: NVML is being asked in a child from here on, while the caller reads other things.

    Args:
        children: The group of children, whose deadline ends everything that runs vendor code.
        roots: The host to probe.
        environ: Its environment. Children get it without ``CUDA_VISIBLE_DEVICES``, so that every GPU is listed.
        script: The program of the child that asks NVML.
    """

    def __init__(self, children: Children, roots: Roots, environ: Mapping[str, str], *, script: Path = SCRIPT) -> None:
        self._children, self._roots, self._environ = children, roots, environ
        self._env = {name: value for name, value in environ.items() if name != VISIBLE}
        self._pci = read_pci(roots)
        # NVML says nothing of the fabric of A100 boards; starting CUDA is slow, and the only way to know.
        self._nvml = start_nvml(children, self._env, cuda_init=self._pci.switches > 0, script=script)
        self._kernel = read_kernel(roots)

    def report(self) -> NvidiaReport:
        """Wait for NVML, ask nvidia-smi when that left something open, and put everything together."""
        nvml = read_nvml(self._children.wait(self._nvml))
        # Where NVML hangs, nvidia-smi would hang too and leave one more process in the kernel.
        ask = not nvml.complete and nvml.hung is None
        smi = self._ask_smi() if ask else None
        evidence = Evidence(nvml, smi, self._kernel, self._pci)
        if not evidence.present:
            looked = "nvml, nvidia-smi, /proc, /sys"
            return NvidiaReport(None, {"nvidia": looked}, tuple(faults(evidence, UNKNOWN)))
        return _joined(evidence, self._environ)

    def _ask_smi(self) -> SmiAnswer | None:
        from verl_env.machine.nvidia.smi import ask_smi  # noqa: PLC0415  (a healthy machine does not need it)

        return ask_smi(self._children, self._roots, self._env)


def probe_nvidia(
    children: Children, roots: Roots, environ: Mapping[str, str], *, script: Path = SCRIPT
) -> NvidiaReport:
    """The NVIDIA side at once; for the arguments see ``NvidiaProbe``."""
    return NvidiaProbe(children, roots, environ, script=script).report()


def _joined(evidence: Evidence, environ: Mapping[str, str]) -> NvidiaReport:
    nvml, smi = evidence.nvml, evidence.smi
    said = (nvml.reading, *(smi.readings if smi else ()))
    driver, driver_source = _first("driver", (nvml.reading, *evidence.kernel.readings, *said[1:]))
    cuda, cuda_source = (nvml.libcuda[1], LIBCUDA) if nvml.libcuda[1] else _first("cuda", said)
    merged = merge_devices((*said, *_bus(evidence)))
    gpus = (*merged.gpus, *_unlisted(merged.gpus, smi.lost if smi else ()))
    devices = devices_of(gpus)
    sources = {"nvidia.driver": driver_source, "nvidia.cuda": cuda_source}
    sources |= {f"nvidia.devices.{fact}": ", ".join(tellers) for fact, tellers in merged.sources.items()}
    if merged.gpus:
        sources["nvidia.devices"] = next(reading.source for reading in (*said, *_bus(evidence)) if reading.devices)
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
    """The GPUs of the bus; not where the driver says that it has none, nor where no device node leads to them."""
    withheld = evidence.kernel.loaded and not evidence.kernel.nodes
    if not evidence.asked and (evidence.none_found or withheld):
        return ()
    return (evidence.pci.reading(),) if evidence.pci.gpus else ()


def _unlisted(gpus: Sequence[GpuReading], lost: Sequence[GpuReading]) -> list[GpuReading]:
    """The GPUs that only an error message of nvidia-smi names."""
    known = {gpu.address for gpu in gpus}
    return [replace(gpu, index=None) for gpu in lost if gpu.address not in known]
