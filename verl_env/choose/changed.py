"""What a request and a machine would have to be for a lockset to fit, as flags: so that it can be tried and printed."""

from __future__ import annotations

from verl_env.choose.command import redescribed
from verl_env.choose.fits import supported_gpus
from verl_env.choose.pythons import pythons_in_order
from verl_env.choose.words import component_name
from verl_env.records import NOTHING, record, replace
from verl_env.versions import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Choice, Evaluation, Request, Verdict
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Machine

    #: Chooses for another request and machine; None where that is refused as well.
    Again: TypeAlias = Callable[[Request, Machine], Choice | None]

#: Failed requirements that no flag can change.
FIXED = frozenset({"tier", "platform"})
_LIMITS = frozenset({"compute-capability", "gfx"})


@record
class Changed:
    """A request and a machine with changes; ``flags`` are those of the machine alone."""

    request: Request
    machine: Machine
    flags: Mapping[str, str] = NOTHING


def way_to(evaluation: Evaluation, facts: MachineFacts, request: Request, again: Again) -> Changed | None:
    """The least change with which a lockset is what is chosen; None where no flags lead there.

    Every change is tried: other requirements may be in the way once the first are met, such as a native component that
    cannot be had there. ``--lockset`` is added only where another lockset would be chosen.
    """
    for changed in _changes(evaluation, facts, request):
        pinned = replace(changed, request=replace(changed.request, lockset=evaluation.lockset.id))
        if again(pinned.request, pinned.machine) is None:  # then it is not what is chosen of all either
            continue
        found = again(changed.request, changed.machine)
        return changed if found is not None and found.lockset is evaluation.lockset else pinned
    return None


def sole_natives(evaluation: Evaluation) -> tuple[str, ...]:
    """The native components whose code for GPUs is all that stands in the way; empty where more does."""
    lockset, failed = evaluation.lockset, evaluation.failed
    natives = {component_name(lockset, native.name): native.name for native in lockset.natives}
    subjects = {verdict.subject for verdict in failed}
    if not failed or not all(verdict.requirement in _LIMITS and verdict.subject in natives for verdict in failed):
        return ()
    return tuple(name for full, name in natives.items() if full in subjects)


def skippable(evaluation: Evaluation, request: Request) -> bool:
    """Whether ``--native skip`` makes a lockset fit that fits no GPU of the machine with its native components.

    Not where a part of the stack that was asked for needs them: without its component it is not that part.
    """
    names = sole_natives(evaluation)
    asked = [native for native in evaluation.lockset.natives if native.name in names and native.needed_for]
    odd = any(verdict.devices for verdict in evaluation.failed)
    return bool(names) and not asked and not odd and request.native is None


def _changes(evaluation: Evaluation, facts: MachineFacts, request: Request) -> Iterator[Changed]:
    failed = evaluation.failed
    if FIXED & {verdict.requirement for verdict in failed} or not evaluation.lockset.pythons:
        return
    if skippable(evaluation, request):
        yield Changed(replace(request, native="skip"), facts.machine)
    asked = _request(evaluation.lockset, failed, facts, request)
    flags = _machine_flags(evaluation, facts, asked)
    if not flags:
        yield Changed(asked, facts.machine)
        return
    asked = replace(asked, described=redescribed(request.described, flags))
    machine = _described(facts.machine, {flag: value for flag, value in flags.items() if value})
    if machine is not None:
        yield Changed(asked, machine, flags)


def _request(lockset: Lockset, failed: Sequence[Verdict], facts: MachineFacts, request: Request) -> Request:
    """The request with the changes that its failed verdicts ask of it."""
    kinds = {verdict.requirement for verdict in failed}
    changes: dict[str, Any] = {}
    if "stack" in kinds:
        common = tuple(part for part in request.stack if part in lockset.provides)
        changes["stack"] = common or tuple(lockset.engines) or lockset.provides
    if "lockset" in kinds:
        changes["lockset"] = None
    if "verl" in kinds:
        changes["verl"] = lockset.verl
    if "preview" in kinds:
        changes["preview"] = True
    if "python" in kinds:
        changes["python"] = pythons_in_order(lockset, facts, replace(request, python=None))[0][0]
    contradicted = {verdict.need for verdict in failed if verdict.requirement == "with"}
    if contradicted:
        changes["wishes"] = tuple(wish for wish in request.wishes if _written(wish) not in contradicted)
    return replace(request, **changes) if changes else request


def _written(wish: str) -> str:
    """A wish as its verdict writes it."""
    from packaging.requirements import Requirement  # noqa: PLC0415  only wishes need it

    return str(Requirement(wish))


def _machine_flags(evaluation: Evaluation, facts: MachineFacts, request: Request) -> dict[str, str]:
    """The machine flags with which the failed verdicts on the machine are met."""
    lockset, failed = evaluation.lockset, evaluation.failed
    kinds = {verdict.requirement for verdict in failed}
    flags: dict[str, str] = {}
    if "arch" in kinds:
        flags["--arch"] = lockset.requires.arch[0]
    if "glibc" in kinds and lockset.requires.glibc:
        flags["--glibc"] = lockset.requires.glibc.minimum
    if kinds & {"accelerator", "arch", *_LIMITS}:
        flags |= _other_gpus(evaluation, facts, request)
    elif "driver" in kinds:
        flags["--driver"] = _driver(failed, lockset)
    elif "rocm" in kinds:
        flags["--rocm"] = lockset.requires.rocm[0]
    return flags


def _other_gpus(evaluation: Evaluation, facts: MachineFacts, request: Request) -> dict[str, str]:
    """GPUs that every component runs on, with what they need of the driver, as nothing is known of it then."""
    lockset = evaluation.lockset
    side, cuda = (facts.cuda, True) if lockset.accelerator == "cuda" else (facts.rocm, False)
    odd = {index for verdict in evaluation.failed for index in verdict.devices}
    rest = [(gpus.target, len(set(gpus.indices) - odd)) for gpus in side.gpus] if odd else []
    left = [(target, count) for target, count in rest if count]
    known = left or [(target, 1) for target in supported_gpus(lockset, request.stack)[:1]]
    names = ",".join(f"{_code(target)}:{count}" if count > 1 else _code(target) for target, count in known)
    if not cuda:
        rocm = facts.amd.rocm if facts.amd and "rocm" not in _kinds(evaluation) else None
        least = next(iter(lockset.requires.rocm), "")
        return {"--gpu": names, "--driver": "", "--rocm": rocm if isinstance(rocm, str) else least}
    driver = facts.nvidia.driver if facts.nvidia and "driver" not in _kinds(evaluation) else None
    own = driver if isinstance(driver, str) else _driver(evaluation.failed, lockset)
    return {"--gpu": names, "--driver": own, "--rocm": ""}


def _kinds(evaluation: Evaluation) -> set[str]:
    return {verdict.requirement for verdict in evaluation.failed}


def _driver(failed: Sequence[Verdict], lockset: Lockset) -> str:
    """The highest driver that a failed verdict names; else the one that the lockset's CUDA names."""
    named = [verdict.need.removeprefix(">= ") for verdict in failed if verdict.requirement == "driver"]
    need = lockset.requires.driver
    own = [need.toolkit or need.minimum] if need and not named else []
    return max((*named, *own), key=lambda text: numbers(text) or (), default="")


def _code(target: str) -> str:
    return target if target.startswith("gfx") else f"sm_{target.replace('.', '')}"


def _described(machine: Machine, flags: Mapping[str, str]) -> Machine | None:
    from verl_env.errors import VerlEnvError  # noqa: PLC0415
    from verl_env.machine.describe import describe  # noqa: PLC0415  only a refusal needs it

    given = {flag.removeprefix("--"): value for flag, value in flags.items() if flag != "--gpu"}
    gpus = flags["--gpu"].split(",") if "--gpu" in flags else ()
    try:
        return describe(machine, gpus=gpus, **given)
    except VerlEnvError:
        return None
