"""Nothing fits: which lockset comes nearest, and what would have to change for it."""

from __future__ import annotations

from verl_env.choose.compare import numbers
from verl_env.choose.fits import supported_gpus
from verl_env.choose.model import Refusal
from verl_env.choose.words import component_name, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verl_env.choose.facts import Facts
    from verl_env.choose.model import Evaluation, Request, Verdict
    from verl_env.locksets.model import Lockset

#: How far a change is, from a flag of the same command to another machine; a lockset is as far as the sum of its
#: changes. The ratios only have to keep the kinds apart: flags, then software, then hardware, then another stack. A
#: lockset that was asked for is the nearest, whatever it lacks, and one for the GPUs that are there goes before one for
#: another vendor's, whatever else it lacks of the machine.
DISTANCE = {
    "python": 1,
    "preview": 2,
    "verl": 4,
    "with": 5,
    "rocm": 20,
    "driver": 30,
    "glibc": 100,
    "gfx": 300,
    "compute-capability": 300,
    "arch": 1500,
    "platform": 1500,
    "tier": 10_000,
    "accelerator": 20_000,
    "stack": 50_000,
    "lockset": 200_000,
}


def refusal(evaluations: Sequence[Evaluation], facts: Facts, request: Request) -> Refusal:
    """The answer where every lockset is refused; ``evaluations`` are in the order of choice."""
    near = min(evaluations, key=_distance, default=None)
    if near is None:
        return Refusal((), None, (), ())
    return Refusal(tuple(evaluations), near, changes(near, facts, request), hints(evaluations, facts, request))


def changes(evaluation: Evaluation, facts: Facts, request: Request) -> tuple[str, ...]:
    """What would have to change for a lockset to fit: one sentence per requirement, the nearest change first."""
    failed: dict[str, list[Verdict]] = {}
    for verdict in sorted(evaluation.failed, key=lambda each: DISTANCE[each.requirement]):
        failed.setdefault(verdict.requirement, []).append(verdict)
    sentences = [_CHANGES[name](evaluation.lockset, group, facts, request) for name, group in failed.items()]
    sole = _sole_native(evaluation)
    return (*sentences, sole) if sole else tuple(sentences)


def hints(evaluations: Sequence[Evaluation], facts: Facts, request: Request) -> tuple[str, ...]:
    """The ways on, as commands: what fits in place of the lockset asked for; for a GPU node, where there is no GPU."""
    stack = request.name or "STACK"
    other = next((each for each in evaluations if {one.requirement for one in each.failed} == {"lockset"}), None)
    if other is not None:
        return (f"leave --lockset out, or take what fits: --lockset {other.lockset.id}",)
    reasons = {verdict.brief for evaluation in evaluations for verdict in evaluation.failed}
    if not (reasons & {"no GPU", "no NVIDIA GPU", "no AMD GPU"}) or facts.cuda.gpus or facts.rocm.gpus:
        return ()
    plan = f"verl-env plan --stack {stack}"
    record = f"or record it: `verl-env probe -o node.json` on the GPU node, then `{plan} --machine node.json`"
    return (f"describe the GPU node, for example: {plan} --gpu h100 --driver 550.54.15", record)


def _distance(evaluation: Evaluation) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """Kinds of change, how many verdicts, then how far the driver and glibc have to go."""
    failed = evaluation.failed
    kinds = {verdict.requirement for verdict in failed}
    driver, glibc = evaluation.lockset.requires.driver, evaluation.lockset.requires.glibc
    return (
        sum(DISTANCE[kind] for kind in kinds),
        len(failed),
        (numbers(driver.minimum) or ()) if driver and "driver" in kinds else (),
        (numbers(glibc.minimum) or ()) if glibc and "glibc" in kinds else (),
    )


def _sole_native(evaluation: Evaluation) -> str | None:
    """A sentence where one native component is all that stands in the way."""
    subjects = {verdict.subject for verdict in evaluation.failed}
    gpu_only = all(verdict.requirement in ("compute-capability", "gfx") for verdict in evaluation.failed)
    lockset = evaluation.lockset
    natives = {component_name(lockset, native.name) for native in lockset.natives}
    if not gpu_only or len(subjects) != 1 or not subjects <= natives:
        return None
    return f"nothing else: {subjects.pop()}, a native component, is the only obstacle"


def _python(lockset: Lockset, _: Sequence[Verdict], __: Facts, request: Request) -> str:
    if not lockset.pythons:
        return "a lock of it for some Python"
    releases = [lock.python for lock in lockset.pythons]
    return f"Python {listed(releases, 'or')} instead of {request.python}: --python {releases[0]}, or leave --python out"


def _preview(*_: object) -> str:
    return "previews allowed: --preview"


def _lockset(lockset: Lockset, *_: object) -> str:
    return f"another lockset: --lockset {lockset.id}, or leave --lockset out"


def _with(_: Lockset, failed: Sequence[Verdict], *__: object) -> str:
    wishes = listed([f"{verdict.subject} {verdict.have}" for verdict in failed])
    return f"its own {wishes}: leave --with out, or ask for that version"


def _verl(lockset: Lockset, *_: object) -> str:
    return f"another release: --verl {lockset.verl}, or leave --verl out"


def _rocm(lockset: Lockset, *_: object) -> str:
    return f"the user space of ROCm {listed(lockset.requires.rocm, 'or')}"


def _driver(lockset: Lockset, failed: Sequence[Verdict], facts: Facts, _: Request) -> str:
    """The update of the driver, to the highest version that a failed verdict names."""
    need = max((verdict.need.removeprefix(">= ") for verdict in failed), key=lambda text: numbers(text) or ())
    driver = facts.nvidia.driver if facts.nvidia else None
    if not isinstance(driver, str):
        return f"an NVIDIA driver {need} or newer, loaded"
    own = lockset.requires.driver.toolkit if lockset.requires.driver else None
    full = f" ({own} for all features)" if own and own != need else ""
    return f"the NVIDIA driver updated from {driver} to {need} or newer{full}"


def _glibc(_: Lockset, failed: Sequence[Verdict], *__: object) -> str:
    least = failed[0].need.removeprefix(">= ")
    return f"an operating system with glibc {least} or newer (this one has {failed[0].have or 'none'})"


def _gpus(lockset: Lockset, failed: Sequence[Verdict], facts: Facts, request: Request) -> str:
    """Without the odd GPUs, where the others fit; else other GPUs."""
    side = facts.cuda if lockset.accelerator == "cuda" else facts.rocm
    odd = {index for verdict in failed for index in verdict.devices}
    rest = [index for gpus in side.gpus for index in gpus.indices if index not in odd]
    if rest and all(verdict.devices for verdict in failed):
        variable = "CUDA_VISIBLE_DEVICES" if lockset.accelerator == "cuda" else "ROCR_VISIBLE_DEVICES"
        shown = ",".join(map(str, sorted(rest)))
        return f"a job without {_numbered(sorted(odd))} ({variable}={shown}), described with --gpu"
    return f"other GPUs: {_supported(lockset, request)}"


def _accelerator(lockset: Lockset, _: Sequence[Verdict], __: Facts, request: Request) -> str:
    kind = "an NVIDIA" if lockset.accelerator == "cuda" else "an AMD"
    driver = lockset.requires.driver
    with_driver = f" with driver {driver.minimum} or newer" if driver else ""
    return f"a machine with {kind} GPU ({_supported(lockset, request)}){with_driver}"


def _arch(lockset: Lockset, *_: object) -> str:
    return f"a machine of architecture {listed(lockset.requires.arch, 'or')}"


def _platform(*_: object) -> str:
    return "a machine that is no Jetson"


def _tier(*_: object) -> str:
    return "a lock of it, which an index cannot give yet: see its page in docs/locksets"


def _stack(lockset: Lockset, *_: object) -> str:
    return f"another stack, of {listed(lockset.provides)}"


def _supported(lockset: Lockset, request: Request) -> str:
    gpus = listed(supported_gpus(lockset, request.stack), "or")
    return f"compute capability {gpus}" if gpus and lockset.accelerator == "cuda" else gpus or "any"


def _numbered(indices: Sequence[int]) -> str:
    return f"{'GPU' if len(indices) == 1 else 'GPUs'} {listed(map(str, indices))}"


_CHANGES: dict[str, Callable[[Lockset, Sequence[Verdict], Facts, Request], str]] = {
    "python": _python,
    "preview": _preview,
    "lockset": _lockset,
    "verl": _verl,
    "with": _with,
    "rocm": _rocm,
    "driver": _driver,
    "glibc": _glibc,
    "gfx": _gpus,
    "compute-capability": _gpus,
    "accelerator": _accelerator,
    "arch": _arch,
    "platform": _platform,
    "tier": _tier,
    "stack": _stack,
}
