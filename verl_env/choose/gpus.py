"""The verdicts on GPUs: one per component that carries GPU code, and one on GPUs that do not say what they are."""

from __future__ import annotations

from verl_env.choose.driver import Level
from verl_env.choose.fits import cuda_fit, gfx_fit, subjects, supported_gpus
from verl_env.choose.model import Verdict
from verl_env.choose.words import sm
from verl_env.machine.gpu_code import Fit, needs_own_code
from verl_env.records import replace
from verl_env.texts import counted, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from verl_env.choose.facts import Gpus, MachineFacts, VendorGpus
    from verl_env.choose.fits import FitSubject
    from verl_env.choose.model import Outcome, Request
    from verl_env.locksets.model import Lockset

    #: How far a driver goes, and what it is, in words.
    Driver: TypeAlias = tuple[Level, str | None]


def judge_gpus(
    lockset: Lockset, facts: MachineFacts, request: Request, level: Level, driver: str | None = None
) -> Iterator[Verdict]:
    """The verdicts on the GPUs of the lockset's vendor.

    ``level`` is that of the driver, which PTX depends on, and ``driver`` what it is, in words. A component that
    ``--native skip`` leaves out limits nothing.
    """
    stack, natives = request.stack, request.native != "skip"
    if not lockset.requires.gpu:
        return
    side, fit = (facts.cuda, cuda_fit) if lockset.accelerator == "cuda" else (facts.rocm, gfx_fit)
    for subject in subjects(lockset, stack, natives=natives) if side.gpus else ():
        yield _judge(lockset, subject, [(gpus, fit(subject.need, gpus.target)) for gpus in side.gpus], (level, driver))
    yield from _unjudged(lockset, side, stack)


def _judge(lockset: Lockset, subject: FitSubject, fits: Sequence[tuple[Gpus, Fit]], driver: Driver) -> Verdict:
    every = [gpus for gpus, _ in fits]
    refused = [gpus for gpus, fit in fits if fit is Fit.NONE]
    if refused:
        return _refusal(subject, refused, every)
    compiled = [gpus for gpus, fit in fits if fit is Fit.PTX]
    if compiled:
        return _ptx(lockset, subject, compiled, driver)
    runs = "has code for" if subject.need.targets else "runs on"
    codes = listed(_code(gpus.target) for gpus in every)
    return _verdict(subject, "met", every, f"{subject.name} {runs} {codes}")


def _refusal(subject: FitSubject, refused: Sequence[Gpus], every: Sequence[Gpus]) -> Verdict:
    if len(refused) == len(every):
        return _against(subject, refused, _lack(subject, refused, _names(refused)))
    fitting = sum(len(gpus.devices) for gpus in every) - sum(len(gpus.devices) for gpus in refused)
    rest = "the other one fits" if fitting == 1 else f"the other {fitting} fit"
    message = f"{listed(map(_who, refused))}: {_lack(subject, refused)}; {rest}"
    return _against(subject, refused, message, tuple(index for gpus in refused for index in gpus.indices))


def _ptx(lockset: Lockset, subject: FitSubject, gpus: Sequence[Gpus], of: Driver) -> Verdict:
    """PTX alone: a warning, or, where the driver cannot compile it, a refusal by driver."""
    message = f"{subject.name} has no code for {listed((sm(group.target) for group in gpus), 'or')}, only PTX"
    level, have = of
    if level is not Level.MINOR:
        return _verdict(subject, "warned", gpus, f"{message}, which the driver compiles at first use")
    message += ", which this driver cannot compile: minor-version compatibility does not cover it"
    verdict = _against(subject, gpus, message)
    driver = lockset.requires.driver
    newer = driver.toolkit if driver and driver.toolkit else f"of CUDA {lockset.cuda}"
    return replace(verdict, requirement="driver", need=f">= {newer}", have=have, brief=f"driver < {newer}")


def _against(subject: FitSubject, gpus: Sequence[Gpus], message: str, odd: tuple[int, ...] = ()) -> Verdict:
    """A refusal; a warning where only some stacks of the lockset need the component."""
    if subject.optional:
        return _verdict(subject, "warned", gpus, f"{message} (only stacks that include it need this)", odd)
    return _verdict(subject, "failed", gpus, message, odd)


def _lack(subject: FitSubject, refused: Sequence[Gpus], names: str = "") -> str:
    """``flash-attn 2.7.4.post1 has no code for sm_70 (Tesla V100); it is built for sm_80 and sm_90``."""
    need, codes = subject.need, listed((_code(gpus.target) for gpus in refused), "or")
    if need.minimum and not need.targets and needs_own_code(refused[0].target):
        return f"{subject.name} is not known to have code for {codes}{names}, which needs code of its own"
    if not need.targets or refused[0].target in need.targets:
        return f"{subject.name} does not run on {codes}{names}; it needs {_code(need.minimum or '')} or newer"
    ptx = ", with PTX of the last" if need.ptx else ""
    own = "; code for an older GPU is not known to run on it" if needs_own_code(refused[0].target) else ""
    built = listed(map(_code, need.targets))
    return f"{subject.name} has no code for {codes}{names}; it is built for {built}{ptx}{own}"


def _names(gpus: Iterable[Gpus]) -> str:
    names = dict.fromkeys(group.name for group in gpus if group.name)
    return f" ({listed(names)})" if names else ""


def _who(gpus: Gpus) -> str:
    """The odd ones: ``GPU 3 (Tesla V100-SXM2-32GB, 7.0)``."""
    what = ", ".join(filter(None, (gpus.name, gpus.target)))
    return f"{_numbered(gpus.indices)} ({what})"


def _unjudged(lockset: Lockset, side: VendorGpus, stack: Sequence[str]) -> Iterator[Verdict]:
    """The verdicts on GPUs that cannot be judged, or do not count."""
    if not (side.mute or side.silent or side.ignored) and side.gpus:
        return
    requirement, what = _requirement(lockset.accelerator == "cuda")
    need = listed(supported_gpus(lockset, stack), "or") or "GPUs that its components have code for"
    if side.mute:
        message = f"{_numbered(side.mute)} has no {what}; needs {need}"
        yield Verdict(requirement, "failed", need, None, message, brief=f"no {what}", devices=side.mute)
    if side.silent or not (side.gpus or side.mute):
        who = f"the {what} of {counted(len(side.silent), 'GPU')}" if side.silent else f"the {what}"
        yield Verdict(requirement, "unknown", need, None, f"{who} is not stated; needs {need}", devices=side.silent)
    if side.ignored:
        devices = tuple(device.index for device in side.ignored)
        shown = ",".join(str(index) for gpus in side.gpus for index in gpus.indices)
        message = (
            f"{_numbered(devices)} does not count beside Instinct cards; hide it with ROCR_VISIBLE_DEVICES={shown}"
        )
        yield Verdict(requirement, "warned", need, None, message, devices=devices)


def _verdict(
    subject: FitSubject, outcome: Outcome, gpus: Sequence[Gpus], message: str, odd: tuple[int, ...] = ()
) -> Verdict:
    need = subject.need
    codes = listed(need.targets) + (" and PTX" if need.ptx else "") if need.targets else f">= {need.minimum}"
    return Verdict(
        _requirement(not gpus[0].target.startswith("gfx"))[0],
        outcome,
        f"{subject.name}: {codes}",
        listed(group.target for group in gpus),
        message,
        brief=listed(_code(group.target) for group in gpus),
        subject=subject.name,
        devices=odd,
    )


def _requirement(cuda: bool) -> tuple[str, str]:
    """The name of the requirement, and what it is called in a sentence."""
    return ("compute-capability", "compute capability") if cuda else ("gfx", "gfx target")


def _numbered(indices: Sequence[int]) -> str:
    return f"{'GPU' if len(indices) == 1 else 'GPUs'} {listed(map(str, indices))}"


def _code(target: str) -> str:
    return target if target.startswith("gfx") else sm(target)
