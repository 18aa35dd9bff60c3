"""Whether there is an accelerator of the lockset's kind at all, and the ROCm user space that it needs."""

from __future__ import annotations

from verl_env.choose.compare import release_matches
from verl_env.choose.facts import label
from verl_env.choose.model import Verdict
from verl_env.machine.model import UNKNOWN
from verl_env.machine.tables import rocm_releases
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.choose.facts import MachineFacts, VendorGpus
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Amd, Fact, Nvidia


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
