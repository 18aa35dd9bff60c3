"""A machine as the requirements read it: prepared once, so that judging a lockset only compares."""

from __future__ import annotations

from verl_env.choose.compare import minor_release
from verl_env.choose.words import sm
from verl_env.machine.model import UNKNOWN, Amd, Nvidia, Unknown
from verl_env.records import record
from verl_env.versions import capability

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from verl_env.machine.model import AmdDevice, Fact, Machine, NvidiaDevice

    Device: TypeAlias = NvidiaDevice | AmdDevice
    Pair: TypeAlias = tuple[Device, Fact[str]]

#: gfx targets of AMD's compute cards, MI25 to MI355X. Source: ROCm system requirements, and KFD captures of the cards.
INSTINCT = frozenset({"gfx900", "gfx906", "gfx908", "gfx90a", "gfx940", "gfx941", "gfx942", "gfx950"})


@record
class Gpus:
    """GPUs that are alike to every requirement: one compute capability or gfx target, and the devices that have it."""

    target: str
    devices: tuple[Device, ...]

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices of the devices."""
        return tuple(device.index for device in self.devices)

    @property
    def name(self) -> str | None:
        """The name of the first device, where it has one."""
        return next((device.name for device in self.devices if isinstance(device.name, str) and device.name), None)


@record
class VendorGpus:
    """The GPUs of one vendor.

    ``gpus`` can be judged. ``silent`` are the indices of those of which nobody states what they are, ``mute`` of those
    that were asked and have no answer. ``ignored`` do not count: graphics beside AMD Instinct cards.
    """

    gpus: tuple[Gpus, ...] = ()
    silent: tuple[int, ...] = ()
    mute: tuple[int, ...] = ()
    ignored: tuple[Device, ...] = ()


@record
class MachineFacts:
    """One machine, prepared.

    ``interpreters`` maps ``"3.10"`` to the first interpreter of that release; None where nothing is known of them.
    """

    machine: Machine
    cuda: VendorGpus
    rocm: VendorGpus
    interpreters: Mapping[str, str] | None

    @property
    def nvidia(self) -> Nvidia | None:
        """The NVIDIA side, where it is stated and there."""
        return self.machine.nvidia if isinstance(self.machine.nvidia, Nvidia) else None

    @property
    def amd(self) -> Amd | None:
        """The AMD side, where it is stated and there."""
        return self.machine.amd if isinstance(self.machine.amd, Amd) else None


def facts_of(machine: Machine) -> MachineFacts:
    """Prepares a machine for judging."""
    nvidia = machine.nvidia.devices if isinstance(machine.nvidia, Nvidia) else ()
    amd = machine.amd.devices if isinstance(machine.amd, Amd) else ()
    cuda = _side([(device, _capability(device)) for device in nvidia])
    return MachineFacts(machine, cuda, _amd_side([(device, _gfx(device)) for device in amd]), _interpreters(machine))


def label(gpus: Gpus) -> str:
    """What to call GPUs in a sentence: their name, else their target."""
    if gpus.name:
        return gpus.name
    return gpus.target if gpus.target.startswith("gfx") else f"{sm(gpus.target)} GPU"


def _capability(device: NvidiaDevice) -> Fact[str]:
    """The compute capability in its plain form; a text that is none is as good as unknown."""
    value = device.compute_capability
    if not isinstance(value, str):
        return value
    parsed = capability(value)
    return UNKNOWN if parsed is None else f"{parsed[0]}.{parsed[1]}"


def _gfx(device: AmdDevice) -> Fact[str]:
    return device.gfx.partition(":")[0] if isinstance(device.gfx, str) else device.gfx


def _amd_side(pairs: Sequence[Pair]) -> VendorGpus:
    """Only the Instinct cards where there are any: an APU beside them must not decide."""
    instinct = [pair for pair in pairs if pair[1] in INSTINCT]
    ignored = [device for device, target in pairs if target not in INSTINCT] if instinct else []
    return _side(instinct or pairs, tuple(ignored))


def _side(pairs: Sequence[Pair], ignored: tuple[Device, ...] = ()) -> VendorGpus:
    groups: dict[str, list[Device]] = {}
    for device, target in pairs:
        if isinstance(target, str):
            groups.setdefault(target, []).append(device)
    return VendorGpus(
        gpus=tuple(Gpus(target, tuple(devices)) for target, devices in groups.items()),
        silent=tuple(device.index for device, target in pairs if target is UNKNOWN),
        mute=tuple(device.index for device, target in pairs if target is None),
        ignored=ignored,
    )


def _interpreters(machine: Machine) -> dict[str, str] | None:
    if isinstance(machine.pythons, Unknown):
        return None
    found: dict[str, str] = {}
    for python in machine.pythons:
        found.setdefault(minor_release(python.version), python.path)
    return found
