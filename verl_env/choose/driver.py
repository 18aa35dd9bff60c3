"""The NVIDIA driver against what a lockset needs of it.

A CUDA release names two drivers. Its own (``toolkit``) runs everything. The least one of its major release
(``minimum``) runs it too, by minor-version compatibility, but there the driver cannot compile PTX of the newer
release, and newer driver features are missing. Source of the rule: NVIDIA's page on minor-version compatibility.
Besides, a driver must know the GPU: the branch that first did is in the table of compute capabilities.
"""

from __future__ import annotations

from enum import Enum

from verl_env.choose.compare import reaches
from verl_env.choose.facts import label
from verl_env.choose.model import Verdict
from verl_env.choose.words import sm
from verl_env.machine.tables import capabilities
from verl_env.records import record, replace
from verl_env.versions import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Outcome
    from verl_env.locksets.model import DriverNeed, Lockset
    from verl_env.machine.model import Nvidia


class Level(Enum):
    """How well a driver serves a CUDA release; ``COMPAT``: by a newer user-mode driver (cuda-compat)."""

    UNKNOWN = 0
    BELOW = 1
    MINOR = 2
    COMPAT = 3
    FULL = 4


@record
class Least:
    """The least driver and what it is the least of: a CUDA release, or a GPU that no older driver knows."""

    driver: str
    of: str


def judge_driver(lockset: Lockset, facts: MachineFacts) -> tuple[Level, Verdict | None]:
    """The level of the driver, and the verdict on it; None where the lockset asks for no driver."""
    stated = lockset.requires.driver
    if stated is None or facts.machine.nvidia is None:
        return Level.UNKNOWN, None
    least = _least(stated, lockset, facts)
    need = replace(stated, minimum=least.driver)
    nvidia = facts.nvidia
    if nvidia is None:
        return Level.UNKNOWN, _not_stated(need)
    if nvidia.driver is None:
        return Level.BELOW, _absent(least)
    cuda = _cuda_level(lockset, nvidia)
    if _reads_cuda(nvidia, windows=facts.machine.host.wsl is True) and cuda is not Level.UNKNOWN:
        return cuda, _by_cuda(lockset, need, nvidia, cuda)
    if not isinstance(nvidia.driver, str) or numbers(nvidia.driver) is None:
        return Level.UNKNOWN, _not_stated(need, nvidia.driver if isinstance(nvidia.driver, str) else None)
    return _by_driver(lockset, need, least, nvidia, cuda)


def _least(need: DriverNeed, lockset: Lockset, facts: MachineFacts) -> Least:
    """The higher of what the CUDA release and what the GPUs of the machine ask for."""
    asked = [Least(need.minimum, _release(lockset))]
    for gpus in facts.cuda.gpus:
        if row := capabilities().get(gpus.target):
            name = label(gpus)
            asked.append(Least(row.driver, name if sm(gpus.target) in name else f"{name} ({sm(gpus.target)})"))
    return max(asked, key=lambda each: numbers(each.driver) or ())


def _reads_cuda(nvidia: Nvidia, *, windows: bool) -> bool:
    """Whether the CUDA version decides: there is no driver version, or it is that of a Windows driver (WSL)."""
    return windows or not isinstance(nvidia.driver, str) or numbers(nvidia.driver) is None


def _cuda_level(lockset: Lockset, nvidia: Nvidia) -> Level:
    """The level of the loaded user-mode driver, by the CUDA version that it reports."""
    have = numbers(nvidia.cuda) if isinstance(nvidia.cuda, str) else None
    need = numbers(lockset.cuda) if lockset.cuda else None
    if have is None or need is None:
        return Level.UNKNOWN
    if have[:2] >= need[:2]:
        return Level.FULL
    return Level.MINOR if have[0] == need[0] else Level.BELOW


def _by_driver(lockset: Lockset, need: DriverNeed, least: Least, nvidia: Nvidia, cuda: Level) -> tuple[Level, Verdict]:
    driver, release = str(nvidia.driver), _release(lockset)
    if reaches(driver, need.minimum) is False:
        message = f"driver {driver} is older than {need.minimum}, the least that runs {least.of}"
        if cuda is Level.FULL:
            message += f"; that the loaded libcuda is of CUDA {nvidia.cuda} (cuda-compat) is not relied on"
        return Level.BELOW, _verdict(need, "failed", driver, message)
    if need.toolkit is not None and reaches(driver, need.toolkit) is False:
        return _between(need, nvidia, driver, release, need.toolkit, compat=cuda is Level.FULL)
    if cuda is Level.BELOW:
        message = (
            f"driver {driver} runs {release}, but the loaded libcuda is only of CUDA {nvidia.cuda}: "
            "take the older libcuda (cuda-compat?) off LD_LIBRARY_PATH"
        )
        return Level.UNKNOWN, _verdict(need, "warned", driver, message)
    return Level.FULL, _verdict(need, "met", driver, f"driver {driver} runs {release}")


def _between(
    need: DriverNeed, nvidia: Nvidia, driver: str, release: str, toolkit: str, *, compat: bool
) -> tuple[Level, Verdict]:
    """A driver from the minimum on, older than the toolkit's own."""
    if compat:
        message = (
            f"driver {driver} is older than {toolkit}, that of {release}; its libcuda reports CUDA {nvidia.cuda}, "
            "which makes up for it (where it is that of cuda-compat, as long as it stays on LD_LIBRARY_PATH)"
        )
        return Level.COMPAT, _verdict(need, "warned", driver, message)
    return Level.MINOR, _verdict(need, "warned", driver, _minor(f"driver {driver}", release, toolkit))


def _minor(have: str, release: str, toolkit: str | None) -> str:
    own = f" ({release} itself asks for {toolkit})" if toolkit else ""
    return (
        f"{have} runs {release} by minor-version compatibility only{own}: "
        "the driver cannot compile its PTX, and newer driver features are missing"
    )


def _by_cuda(lockset: Lockset, need: DriverNeed, nvidia: Nvidia, level: Level) -> Verdict:
    """The verdict where the CUDA version of the user-mode driver is all there is, or all that counts."""
    windows = f"the Windows driver {nvidia.driver}" if isinstance(nvidia.driver, str) else "the driver"
    have, release = f"{windows}, which reports CUDA {nvidia.cuda},", _release(lockset)
    if level is Level.FULL:
        return _verdict(need, "met", _have(nvidia), f"{have} runs {release}")
    if level is Level.MINOR:
        return _verdict(need, "warned", _have(nvidia), _minor(have, release, None))
    return _verdict(need, "failed", _have(nvidia), f"{have} does not run {release}")


def _release(lockset: Lockset) -> str:
    return f"CUDA {lockset.cuda}" if lockset.cuda else "its CUDA"


def _have(nvidia: Nvidia) -> str:
    cuda = f"CUDA {nvidia.cuda}"
    return f"{nvidia.driver}, {cuda}" if isinstance(nvidia.driver, str) else cuda


def _absent(least: Least) -> Verdict:
    message = f"no NVIDIA driver is loaded; {least.of} needs {least.driver} or newer"
    return Verdict("driver", "failed", f">= {least.driver}", None, message, brief="no driver")


def _not_stated(need: DriverNeed, text: str | None = None) -> Verdict:
    said = f"the driver {text!r} is no version" if text else "the driver is not stated"
    full = f" ({need.toolkit} for all of it)" if need.toolkit and need.toolkit != need.minimum else ""
    return Verdict("driver", "unknown", f">= {need.minimum}", text, f"{said}; needs {need.minimum} or newer{full}")


def _verdict(need: DriverNeed, outcome: Outcome, have: str, message: str) -> Verdict:
    return Verdict("driver", outcome, f">= {need.minimum}", have, message, brief=f"driver < {need.minimum}")
