"""Which GPUs this process can use: what the kernel lists, joined with the device nodes that are there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.machine.amd import problems
from verl_env.machine.amd.kfd import NODES
from verl_env.machine.amd.merge import card, from_nodes, from_pci, from_readings, is_compute, may_compute
from verl_env.machine.amd.pci import DEVICES, WSL
from verl_env.machine.amd.reading import ToolAnswers
from verl_env.machine.amd.rocm import MODULE
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from verl_env.machine.amd.kfd import Node, Topology
    from verl_env.machine.amd.merge import Gpu
    from verl_env.machine.amd.pci import AmdPciGpu
    from verl_env.machine.model import Problem
    from verl_env.machine.roots import Roots

_KFD = "/dev/kfd"


@record
class FoundDevices:
    """The GPUs, where the list of them comes from, and what is wrong with it."""

    gpus: tuple[Gpu, ...]
    source: str
    problems: tuple[Problem, ...] = ()


def find_devices(
    roots: Roots, topology: Topology | None, bus: Sequence[AmdPciGpu], ask: Callable[[], ToolAnswers]
) -> FoundDevices:
    """The GPUs from the best source that has any: the kernel, ROCm's tools, the PCI bus.

    Args:
        roots: The host to probe.
        topology: The kernel's list.
        bus: The GPUs on the PCI bus.
        ask: Runs ROCm's tools; called where the kernel leaves something open.
    """
    if topology and (topology.nodes or topology.hidden):
        return _from_kernel(roots, topology, bus, ask)
    expected, loaded = from_pci(bus), roots.exists(MODULE)
    asked = ask() if roots.exists(WSL) or (expected and loaded) else ToolAnswers()
    tool, gpus = from_readings(asked.readings)
    if gpus:
        return FoundDevices(gpus, tool, asked.problems)
    if not expected:
        return FoundDevices((), DEVICES)
    missing = problems.kfd_missing(expected) if loaded else problems.driver_missing(expected)
    return FoundDevices(expected, DEVICES, (missing, *asked.problems))


def _from_kernel(
    roots: Roots, topology: Topology, bus: Sequence[AmdPciGpu], ask: Callable[[], ToolAnswers]
) -> FoundDevices:
    """The kernel's GPUs that have their device nodes, completed by the tools where something is missing."""
    missing = {node.number: paths for node in topology.nodes if (paths := _missing_devices(roots, node))}
    usable = [node for node in topology.nodes if node.number not in missing]
    gpus = from_nodes(usable, {}, NODES)
    found: list[Problem] = []
    if any(gpu.incomplete for gpu in gpus):
        asked = ask()
        gpus = from_nodes(usable, asked.readings, NODES)
        found += asked.problems
    if unusable := [node for node in topology.nodes if node.number in missing and _may_compute(node)]:
        paths = sorted({path for node in unusable for path in missing[node.number]})
        found.append(problems.no_device_node(from_nodes(unusable, {}, NODES), paths))
    if topology.hidden:
        found.append(problems.node_hidden(len(topology.hidden)))
    elif lost := _lost(topology.nodes, bus):
        found.append(problems.device_lost(lost))
    if closed := _closed_devices(roots, filter(_may_compute, usable)):
        found.append(problems.kfd_no_permission(closed))
    return FoundDevices(gpus, NODES, tuple(found))


def _may_compute(node: Node) -> bool:
    return all(map(may_compute, from_nodes([node], {}, NODES)))


def _lost(nodes: Sequence[Node], bus: Sequence[AmdPciGpu]) -> tuple[Gpu, ...]:
    """The GPUs on the bus of which the kernel's list has no partition."""
    cards = {card(node.bdf) for node in nodes}
    return from_pci(gpu for gpu in bus if is_compute(gpu) and card(gpu.bdf) not in cards)


def _devices(node: Node) -> list[str]:
    """The device nodes that a program needs for a GPU."""
    return [_KFD, *([f"/dev/dri/renderD{node.render_minor}"] if node.render_minor else [])]


def _missing_devices(roots: Roots, node: Node) -> list[str]:
    return [path for path in _devices(node) if not roots.exists(path)]


def _closed_devices(roots: Roots, nodes: Iterable[Node]) -> list[str]:
    """The device nodes that are there and may not be opened for reading and writing."""
    paths = dict.fromkeys(path for node in nodes for path in _devices(node))
    return [path for path in paths if not os.access(roots.path(path), os.R_OK | os.W_OK)]
