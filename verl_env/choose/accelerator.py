"""Whether there is an accelerator of the lockset's kind at all, and the ROCm user space that it needs."""

from __future__ import annotations

from verl_env.choose.compare import minor_release, release_matches
from verl_env.choose.facts import label
from verl_env.choose.model import Verdict
from verl_env.machine.model import UNKNOWN
from verl_env.machine.tables import kernel_drivers, rocm_releases
from verl_env.texts import listed
from verl_env.versions import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.choose.facts import MachineFacts, VendorGpus
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Amd, Fact, Nvidia
    from verl_env.machine.tables import KernelDriver

#: The first release of amdgpu that counts for itself and not as one of ROCm.
FIRST_OWN = 30


def judge_accelerator(lockset: Lockset, facts: MachineFacts) -> Verdict:
    """The verdict on the kind of GPU: there, loaded without a usable device, not stated, or not there."""
    cuda = lockset.accelerator == "cuda"
    need = "NVIDIA GPU" if cuda else "AMD GPU"
    stated: Fact[Nvidia] | Fact[Amd] = facts.machine.nvidia if cuda else facts.machine.amd
    if stated is UNKNOWN:
        return Verdict("accelerator", "unknown", need, None, f"no GPU is stated; needs an {need}")
    devices = getattr(stated, "devices", ())
    if devices:
        return Verdict("accelerator", "met", need, need, f"there is an {need}")
    driver = getattr(stated, "driver", None)
    if driver is None:
        return _absent(need, facts)
    loaded = f"driver {driver}" if driver else "its driver"
    message = f"{loaded} is there, but no {need} can be used{_container(facts)}"
    return Verdict("accelerator", "warned", need, None, message)


def judge_rocm(lockset: Lockset, facts: MachineFacts) -> Verdict | None:
    """The verdict on the ROCm user space; None where the lockset brings its own, or there is no AMD side at all."""
    wanted = lockset.requires.rocm
    if not wanted or facts.machine.amd is None:
        return None
    need = listed(wanted, "or")
    rocm = facts.amd.rocm if facts.amd else UNKNOWN
    if rocm is UNKNOWN:
        return Verdict("rocm", "unknown", need, None, f"the ROCm release is not stated; needs {need}")
    if rocm is None:
        return Verdict("rocm", "failed", need, None, f"ROCm is not installed; needs {need}", brief="no ROCm")
    if any(release_matches(str(rocm), release) for release in wanted):
        return Verdict("rocm", "met", need, str(rocm), f"ROCm {rocm} is there")
    message = f"ROCm {rocm}{_day(str(rocm))} is not {need}"
    return Verdict("rocm", "failed", need, str(rocm), message, brief=f"ROCm {rocm}")


def judge_amdgpu(lockset: Lockset, facts: MachineFacts) -> Verdict | None:
    """The verdict on the amdgpu driver: whether AMD documents it with the ROCm of the lockset.

    None where no driver is stated, and for the one of the kernel itself, which has no version. What AMD does not
    document may run: it warns. Of a driver that no row has, nothing is known.
    """
    driver = facts.amd.driver if facts.amd else UNKNOWN
    if lockset.rocm is None or not isinstance(driver, str) or numbers(driver) is None:
        return None
    need = f"an amdgpu driver for ROCm {minor_release(lockset.rocm)}"
    row = next((each for each in kernel_drivers() if _is_of(driver, each)), None)
    if row is None:
        return Verdict("amdgpu", "unknown", need, driver, f"it is not known which ROCm amdgpu {driver} is for")
    name = f"amdgpu {driver} (series {row.series})"
    said = f"AMD documents {name} with ROCm {listed(row.rocm, 'and')}"
    if minor_release(lockset.rocm) in row.rocm:
        return Verdict("amdgpu", "met", need, driver, said)
    return Verdict("amdgpu", "warned", need, driver, f"{said}, and not with {lockset.rocm}")


def _is_of(driver: str, row: KernelDriver) -> bool:
    """Whether a driver is of a series: its module's version, or from 30 on a release of its own.

    ``6.3.6`` is a module, the one of ROCm 6.0: a number below 30 is never read as a release of ROCm.
    """
    own = int(driver.partition(".")[0]) >= FIRST_OWN and release_matches(driver, row.series)
    return own or (isinstance(row.module, str) and release_matches(driver, row.module))


def _day(rocm: str) -> str:
    """The day of a release of ROCm, where it is known."""
    return next((f" (of {row.date})" for row in rocm_releases() if row.rocm == rocm), "")


def gpu_names(facts: MachineFacts) -> tuple[str, ...]:
    """The GPUs of a machine in words, both vendors: ``("8 x NVIDIA H100 80GB HBM3",)``."""
    return _side_names(facts.cuda) + _side_names(facts.rocm)


def _side_names(side: VendorGpus) -> tuple[str, ...]:
    """Equal GPUs counted together; those that nobody can name come last."""
    named = [f"{len(gpus.devices)} x {label(gpus)}" for gpus in side.gpus]
    unnamed = len(side.silent) + len(side.mute)
    return (*named, *([f"{unnamed} x unknown GPU"] if unnamed else []))


def _absent(need: str, facts: MachineFacts) -> Verdict:
    others = listed(gpu_names(facts))
    if others:
        message, brief = f"needs an {need}; this machine has {others}", f"no {need}"
    elif UNKNOWN in (facts.machine.nvidia, facts.machine.amd):
        message, brief = f"no {need} was found on this machine", f"no {need}"
    else:
        message, brief = f"no GPU was found on this machine; needs an {need}", "no GPU"
    return Verdict("accelerator", "failed", need, others or None, message, brief=brief)


def _container(facts: MachineFacts) -> str:
    kind = facts.machine.host.container
    return f": this {kind} container was started without it (--gpus all, --nv)" if isinstance(kind, str) else ""
