"""The AMD side of a host that has one: devices, versions, sources, and what is worth saying."""

from __future__ import annotations

from verl_env.machine.amd import problems
from verl_env.machine.amd.devices import find_devices
from verl_env.machine.amd.environment import override_variables, visible_variables
from verl_env.machine.amd.merge import may_compute, split_integrated
from verl_env.machine.amd.rocm import find_driver
from verl_env.machine.model import UNKNOWN, Amd, AmdDevice, Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.machine.amd.kfd import Topology
    from verl_env.machine.amd.merge import Gpu, Value
    from verl_env.machine.amd.pci import AmdPciGpu
    from verl_env.machine.amd.reading import ToolAnswers
    from verl_env.machine.amd.rocm import RocmFound
    from verl_env.machine.model import Known, Problem
    from verl_env.machine.roots import Roots


def examine(
    roots: Roots,
    environ: Mapping[str, str],
    topology: Topology | None,
    bus: Sequence[AmdPciGpu],
    rocm: RocmFound,
    *,
    deadline: float,
) -> Machine | None:
    """The AMD side out of what was found on the bus and in the kernel; None where that comes to nothing.

    Args:
        roots: The host to probe.
        environ: Its environment.
        topology: The kernel's list of GPUs.
        bus: The GPUs on the PCI bus.
        rocm: ROCm's user space.
        deadline: The time of ``time.monotonic()`` at which ROCm's tools are ended.
    """

    def ask() -> ToolAnswers:
        from verl_env.machine.amd.tools import ask_tools  # noqa: PLC0415  (most hosts need no tool)

        places = [f"{rocm.chosen.prefix}/bin"] if rocm.chosen else []
        return ask_tools(roots, environ, places, deadline=deadline)

    found = find_devices(roots, topology, bus, ask)
    if not found.gpus and not found.problems and rocm.chosen is None:
        return None
    counted, integrated = split_integrated(found.gpus, frozenset(gpu.bdf for gpu in bus if gpu.accelerator))
    driver, driver_source = find_driver(roots)
    amd = Amd(driver=driver, rocm=rocm.chosen.version if rocm.chosen else None, devices=tuple(map(_device, counted)))
    sources = {"amd.driver": driver_source, "amd.devices": found.source, **_value_sources(counted)}
    if rocm.chosen:
        sources["amd.rocm"] = rocm.chosen.source
    remarks = (*found.problems, *_remarks(counted, integrated, rocm, environ))
    return Machine(amd=amd, sources=sources, problems=remarks)


def _device(gpu: Gpu) -> AmdDevice:
    name, gfx, memory = _text(gpu.name), _text(gpu.gfx), gpu.memory_bytes
    return AmdDevice(
        index=gpu.index,
        name=name,
        gfx=gfx,
        memory_bytes=int(memory.value) if memory else UNKNOWN,
        pci_id=gpu.device_id or UNKNOWN,
    )


def _text(value: Value | None) -> Known[str]:
    return str(value.value) if value else UNKNOWN


def _value_sources(gpus: Sequence[Gpu]) -> dict[str, str]:
    """What said the facts of the devices, over all of them."""
    facts = ("gfx", "name", "memory_bytes")
    said = {fact: dict.fromkeys(value.source for gpu in gpus if (value := getattr(gpu, fact))) for fact in facts}
    return {f"amd.devices.{fact}": ", ".join(sources) for fact, sources in said.items() if sources}


def _remarks(
    gpus: Sequence[Gpu], integrated: Sequence[Gpu], rocm: RocmFound, environ: Mapping[str, str]
) -> list[Problem]:
    """What is worth saying about GPUs that were found."""
    remarks = []
    if integrated:
        remarks.append(problems.integrated_gpu(integrated))
    if len({gpu.gfx.value for gpu in gpus if gpu.gfx}) > 1:
        remarks.append(problems.mixed_gpus(gpus))
    if nameless := [gpu for gpu in gpus if gpu.gfx is None]:
        remarks.append(problems.gfx_unknown(nameless))
    if rocm.others:
        remarks.append(problems.rocm_several(rocm))
    if not any(map(may_compute, gpus)):
        return remarks
    if rocm.chosen is None:
        remarks.append(problems.rocm_missing())
    if override := override_variables(environ):
        remarks.append(problems.gfx_override(override))
    if visible := visible_variables(environ):
        remarks.append(problems.visible_devices(visible))
    return remarks
