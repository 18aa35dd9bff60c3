"""What can be wrong with the AMD side of a machine, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.machine.model import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.machine.amd.merge import Gpu
    from verl_env.machine.amd.rocm import Rocm, RocmFound

_GROUPS = "add this user to the groups render and video, then log in again"


def driver_missing(gpus: Sequence[Gpu]) -> Problem:
    """GPUs on the bus, no driver."""
    return Problem("amd-driver-missing", f"{_these(gpus)}: found on the PCI bus, but the amdgpu driver is not loaded")


def kfd_missing(gpus: Sequence[Gpu]) -> Problem:
    """The driver is there, its compute part is not."""
    return Problem(
        "amd-kfd-missing",
        f"{_these(gpus)}: the amdgpu driver is loaded, but its compute part (KFD) lists no GPU in /sys/class/kfd",
    )


def kfd_no_permission(paths: Sequence[str]) -> Problem:
    """Device nodes that this user may not open."""
    return Problem("amd-kfd-no-permission", f"this user may not open {', '.join(paths)}: {_GROUPS}")


def no_device_node(gpus: Sequence[Gpu], missing: Sequence[str]) -> Problem:
    """The kernel lists GPUs that this process has no device node for, as in a container that was not given them."""
    return Problem(
        "amd-no-device-node",
        f"{_these(gpus)}: listed by the driver but not usable here, as {', '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not there; a container needs --device=/dev/kfd --device=/dev/dri",
    )


def node_hidden(count: int) -> Problem:
    """Nodes of the topology that this process may not read."""
    return Problem(
        "amd-node-hidden",
        f"{_count(count, 'GPU')} of this host {'is' if count == 1 else 'are'} withheld from this process "
        "by the scheduler or the container",
    )


def device_lost(gpus: Sequence[Gpu]) -> Problem:
    """GPUs on the bus that the compute driver does not list beside others that it does."""
    return Problem(
        "amd-device-lost", f"{_these(gpus)}: found on the PCI bus, but the driver does not list it; see dmesg"
    )


def rocm_missing() -> Problem:
    """Devices, but no user space; wheels that bring ROCm's libraries work without it, builds do not."""
    return Problem(
        "amd-rocm-missing",
        "no ROCm user space was found ($ROCM_PATH, /opt/rocm, /opt/rocm-*): native components cannot be built here",
    )


def rocm_several(found: RocmFound) -> Problem:
    """Installations beside the one that counts."""
    chosen = _where(found.chosen) if found.chosen else "none"
    others = ", ".join(map(_where, found.others))
    return Problem("amd-rocm-several", f"ROCm {chosen} counts; also installed: {others}. ROCM_PATH chooses another")


def mixed_gpus(gpus: Sequence[Gpu]) -> Problem:
    """Devices of several targets."""
    kinds: dict[str, list[str]] = {}
    for gpu in gpus:
        if gpu.gfx:
            kinds.setdefault(str(gpu.gfx.value), []).append(str(gpu.index))
    text = "; ".join(f"{gfx}: {', '.join(indices)}" for gfx, indices in kinds.items())
    return Problem("amd-mixed-gpus", f"GPUs of several targets are in this host ({text}): a stack must fit all of them")


def integrated_gpu(gpus: Sequence[Gpu]) -> Problem:
    """Display graphics beside Instinct GPUs."""
    visible = "ROCm counts it too: HIP_VISIBLE_DEVICES can hide it from a program"
    return Problem("amd-integrated-gpu", f"{_these(gpus)}: left out, as it drives a display only; {visible}")


def gfx_unknown(gpus: Sequence[Gpu]) -> Problem:
    """Devices whose target nothing tells."""
    return Problem("amd-gfx-unknown", f"{_these(gpus)}: its target (gfx...) could not be established")


def gfx_override(variables: Mapping[str, str]) -> Problem:
    """Variables that make ROCm take a GPU for another."""
    return Problem(
        "amd-gfx-override",
        f"{_set(variables)}: ROCm takes every GPU for that target; what is reported here is the hardware",
    )


def visible_devices(variables: Mapping[str, str]) -> Problem:
    """Variables that hide GPUs from programs."""
    return Problem(
        "amd-visible-devices",
        f"{_set(variables)}: programs started here see only these GPUs; all of the host's are reported",
    )


def tool_timeout(tool: str, seconds: float) -> Problem:
    """A tool that was killed at its deadline."""
    return Problem("amd-tool-timeout", f"{tool} gave no answer within {seconds:.1f} s and was ended")


def tool_failed(tool: str, reason: str) -> Problem:
    """A tool that ended without an answer."""
    return Problem("amd-tool-failed", f"{tool} gave no usable answer: {reason}")


def driver_wedged(tool: str, pid: int) -> Problem:
    """A tool that sleeps in the kernel and cannot be killed."""
    return Problem(
        "driver-wedged",
        f"{tool} (process {pid}) hangs in the kernel and cannot be killed: the amdgpu driver is wedged, "
        "which usually takes a reboot to clear",
    )


def _these(gpus: Sequence[Gpu]) -> str:
    """The GPUs by label; more than four by the first and their count."""
    labels = [gpu.label for gpu in gpus]
    return ", ".join(labels) if len(labels) <= 4 else f"{labels[0]} and {len(labels) - 1} more"  # noqa: PLR2004


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _where(rocm: Rocm) -> str:
    return f"{rocm.version} in {rocm.prefix}"


def _set(variables: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in variables.items())
