"""What can be wrong with the NVIDIA side of a machine, in words; ``REMEDIES`` says what to do about each."""

from __future__ import annotations

from verl_env.machine.model import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.machine.nvidia.pci import PciGpu
    from verl_env.machine.nvidia.reading import GpuReading

#: What to do about a problem, by its id.
REMEDIES: Mapping[str, str] = {
    "driver-wedged": "look for Xid errors in dmesg; usually only a reboot clears it (administrator)",
    "nvidia-driver-library-mismatch": "reboot, or reload the kernel modules, after a driver update (administrator); "
    "in a container, start it with the driver libraries of the host",
    "nvidia-no-devices": "look for Xid errors in dmesg; Blackwell GPUs need the open kernel modules; "
    "in a job, ask the scheduler for a GPU",
    "nvidia-no-device-node": "in a container, start it with GPUs (--gpus all, --nv); in a job, ask for a GPU; "
    "on the host, run nvidia-modprobe (administrator)",
    "nvidia-nvml-missing": "install the driver's library libnvidia-ml.so.1; "
    "in a container, start it with GPUs (--gpus all, --nv)",
    "nvidia-nvml-unknown-error": "the job or container has probably lost its access to the GPU: restart it",
    "nvidia-nvml-crash": "reinstall the driver's libraries (administrator)",
    "nvidia-no-permission": "join the group that owns /dev/nvidia* (often video), or ask the administrator",
    "nvidia-driver-missing": "install the NVIDIA driver (administrator)",
    "nvidia-fabric-not-ready": "install and start nvidia-fabricmanager of exactly the driver's version (administrator)",
    "nvidia-device-lost": "drain the node, reset or reboot it (administrator); meanwhile leave the GPU out "
    "through CUDA_VISIBLE_DEVICES",
    "nvidia-mixed-gpus": "choose the GPUs of one kind through CUDA_VISIBLE_DEVICES, or describe them: --gpu NAME:COUNT",
    "nvidia-exclusive-process": "set the compute mode to Default: nvidia-smi -c 0 (administrator)",
    "nvidia-compute-prohibited": "set the compute mode to Default: nvidia-smi -c 0 (administrator)",
    "nvidia-mig-empty": "make slices (nvidia-smi mig -cgi ... -C), or switch MIG off (nvidia-smi -mig 0); "
    "both are the administrator's",
    "nvidia-cuda-compat": "it works on data-centre GPUs only; to go without it, take its directory "
    "out of LD_LIBRARY_PATH",
    "nvidia-visible-devices": "unset CUDA_VISIBLE_DEVICES to use all GPUs",
}

_FEW = 4


def driver_wedged(tool: str, seconds: float, *, killable: bool) -> Problem:
    """A tool that asked the driver never came back.

    A process that the kernel does not let go sleeps uninterruptibly inside the driver; one that could be killed may
    also have waited for GPUs that start slowly. Either way nothing that needs the driver can be trusted to return.
    """
    end = "and was ended" if killable else "and cannot be killed: it hangs in the kernel"
    return Problem("driver-wedged", f"{tool} gave no answer within {seconds:.1f} s {end}; the NVIDIA driver is wedged")


def driver_library_mismatch(driver: str | None, library: str | None) -> Problem:
    """The kernel module and the driver's libraries are of different versions, as after an update without a reboot."""
    versions = f" (kernel module {driver or 'unknown'}, libraries {library or 'unknown'})"
    return Problem(
        "nvidia-driver-library-mismatch", f"the NVIDIA kernel module and its libraries differ in version{versions}"
    )


def no_devices(gpus: Sequence[PciGpu], *, needs_open_module: bool) -> Problem:
    """The driver runs and has no GPU: lost, refused by the wrong kind of module, or withheld by a cgroup."""
    bus = f"; {_count(len(gpus), 'NVIDIA GPU')} on the PCI bus" if gpus else ""
    open_module = ", and such GPUs need the open kernel modules, not the proprietary ones" if needs_open_module else ""
    return Problem("nvidia-no-devices", f"the NVIDIA driver finds no device{bus}{open_module}")


def no_device_node(driver: str | None, gpus: Sequence[PciGpu]) -> Problem:
    """The driver is loaded, as seen from a container without GPUs, but no /dev/nvidia0 leads to it."""
    bus = f" and {_count(len(gpus), 'NVIDIA GPU')} on the PCI bus" if gpus else ""
    return Problem(
        "nvidia-no-device-node",
        f"the NVIDIA driver{f' {driver}' if driver else ''} is loaded{bus}, but there is no device node "
        "/dev/nvidia0: no GPU can be used from here",
    )


def nvml_missing() -> Problem:
    """The driver is loaded and its management library is nowhere."""
    return Problem(
        "nvidia-nvml-missing",
        "the NVIDIA driver is loaded, but its library libnvidia-ml.so.1 cannot be found or loaded",
    )


def nvml_unknown_error(text: str) -> Problem:
    """NVML does not start, for a reason that it does not tell or that has no id of its own."""
    return Problem("nvidia-nvml-unknown-error", f"NVML does not start: {text or 'no reason given'}")


def nvml_crash(signal: int) -> Problem:
    """The driver's library killed the process that asked it."""
    return Problem("nvidia-nvml-crash", f"the process that asked NVML died of signal {signal}")


def no_permission() -> Problem:
    """The driver answers, to other users."""
    return Problem("nvidia-no-permission", "this user may not use the NVIDIA driver (insufficient permissions)")


def driver_missing(gpus: Sequence[PciGpu]) -> Problem:
    """A GPU on the bus that no NVIDIA driver has; another driver may hold it."""
    others = sorted({gpu.bound_to for gpu in gpus if gpu.bound_to})
    bound = f"; bound to {', '.join(others)}" if others else ""
    return Problem(
        "nvidia-driver-missing",
        f"{_count(len(gpus), 'NVIDIA GPU')} on the PCI bus, but no NVIDIA driver is loaded{bound}",
    )


def fabric_not_ready(state: str) -> Problem:
    """The GPUs hang on NVSwitches whose fabric is not up: CUDA fails with error 802 until it is."""
    return Problem(
        "nvidia-fabric-not-ready",
        f"the NVSwitch fabric is not ready ({state}): CUDA will fail with error 802, system not yet initialized",
    )


def device_lost(gpus: Sequence[GpuReading]) -> Problem:
    """Some GPUs do not answer while others do."""
    named = ", ".join(f"GPU {gpu.index if gpu.index is not None else gpu.address} ({gpu.lost})" for gpu in gpus)
    return Problem("nvidia-device-lost", f"{named}: does not answer and is left out")


def mixed_gpus(capabilities: Mapping[str, Sequence[int]]) -> Problem:
    """GPUs of several compute capabilities: what is installed must run on each."""
    kinds = "; ".join(f"{known}: {', '.join(map(str, indices))}" for known, indices in capabilities.items())
    return Problem(
        "nvidia-mixed-gpus", f"GPUs of several compute capabilities are in this host ({kinds}): a stack must fit all"
    )


def exclusive_process(indices: Sequence[int]) -> Problem:
    """One process may own the GPU: the actor and the rollout of verl cannot share it."""
    return Problem(
        "nvidia-exclusive-process",
        f"{_gpus(indices)}: compute mode Exclusive_Process, so that the processes of verl cannot share it",
    )


def compute_prohibited(indices: Sequence[int]) -> Problem:
    """No process may compute on the GPU."""
    return Problem(
        "nvidia-compute-prohibited", f"{_gpus(indices)}: compute mode Prohibited, so that CUDA cannot use it"
    )


def mig_empty(indices: Sequence[int]) -> Problem:
    """MIG is on and there is no slice: CUDA finds nothing to run on."""
    return Problem("nvidia-mig-empty", f"{_gpus(indices)}: MIG is on, but there is no slice that CUDA could use")


def cuda_compat(library: str, driver: str, cuda: str | None) -> Problem:
    """Programs load a libcuda that is not the kernel driver's own: forward compatibility."""
    version = f" with CUDA {cuda}" if cuda else ""
    return Problem(
        "nvidia-cuda-compat",
        f"programs load {library}{version}, which is not of the kernel driver {driver} (cuda-compat)",
    )


def visible_devices(value: str) -> Problem:
    """A variable that hides GPUs from CUDA programs."""
    return Problem(
        "nvidia-visible-devices",
        f"CUDA_VISIBLE_DEVICES={value}: programs started here see only these GPUs; all of the host's are reported",
    )


def _gpus(indices: Sequence[int]) -> str:
    """``GPU 0, 1``; more than four by their number."""
    if len(indices) > _FEW:
        return f"{len(indices)} GPUs"
    return f"GPU {', '.join(map(str, indices))}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
