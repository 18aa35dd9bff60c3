"""Nothing fits: which lockset comes nearest, and what would have to change for it."""

from __future__ import annotations

from verl_env.choose.changed import skippable, sole_natives, way_to
from verl_env.choose.command import plan_command
from verl_env.choose.fits import supported_gpus
from verl_env.choose.model import Refusal
from verl_env.choose.uncovered import uncovered
from verl_env.choose.words import component_name
from verl_env.command_line import command, quoted
from verl_env.records import record, replace
from verl_env.texts import listed
from verl_env.versions import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from verl_env.choose.changed import Again
    from verl_env.choose.facts import MachineFacts
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
    "site": 100_000,
    "lockset": 200_000,
}
#: To leave out native components that alone do not run on the GPUs: farther than another release, nearer than a driver.
NATIVE_DISTANCE = 10
#: How many locksets, the nearest first, are tried with what would have to change.
TRIED = 12
#: GPU nodes to name where the machine has no GPU: the first for which something fits.
EXAMPLES = (
    ("h100", "--driver", "550.54.15"),
    ("h100", "--driver", "580.95.05"),
    ("gh200", "--driver", "580.95.05"),
    ("mi300x", "--rocm", "6.3.4"),
)
#: What the nearest never trades for something else: where one of these is in the way, it is so said.
_FIXED = frozenset({"tier", "accelerator", "arch", "platform", "stack", "site", "lockset"})
#: The machine flags that do not speak of GPUs.
_HOST = frozenset({"--glibc", "--arch"})


def refusal(evaluations: Sequence[Evaluation], facts: MachineFacts, request: Request, again: Again) -> Refusal:
    """The answer where every lockset is refused; ``evaluations`` are in the order of choice.

    The nearest is the one of the least change that leads to it when tried, among those with the same hardware, stack
    and lockset in their way as the nearest by its verdicts; where none does, that one.
    """
    order = sorted(evaluations, key=lambda each: _distance(each, request))
    if not order:
        return Refusal((), None, (), ())
    alike = [each for each in order if _fixed(each) == _fixed(order[0])]
    ways = ((near, way_to(near, facts, request, again)) for near in alike[:TRIED])
    near, way = next(((near, way) for near, way in ways if way is not None), (order[0], None))
    told = Told(evaluations, near, hints(evaluations, facts, request, again), uncovered(evaluations, facts, request))
    if way is None:
        return told.refusal(changes(near, facts, request))
    return told.refusal(changes(near, facts, request), plan_command(way.request), elsewhere=bool(way.flags))


@record
class Told:
    """What a refusal says beside the changes: every evaluation, the nearest, and the hints."""

    evaluations: Sequence[Evaluation]
    near: Evaluation
    hints: tuple[str, ...]
    uncovered: tuple[str, ...]

    def refusal(self, changes: tuple[str, ...], command: str | None = None, *, elsewhere: bool = False) -> Refusal:
        """The refusal with the changes that the nearest would take."""
        return Refusal(tuple(self.evaluations), self.near, changes, self.hints, command, elsewhere, self.uncovered)


def changes(evaluation: Evaluation, facts: MachineFacts, request: Request) -> tuple[str, ...]:
    """What would have to change for a lockset to fit: one sentence per requirement, the nearest change first."""
    failed: dict[str, list[Verdict]] = {}
    for verdict in sorted(evaluation.failed, key=lambda each: DISTANCE[each.requirement]):
        failed.setdefault(verdict.requirement, []).append(verdict)
    sentences = [_CHANGES[name](evaluation.lockset, group, facts, request) for name, group in failed.items()]
    sole = _sole_native(evaluation, request)
    return (*sentences, sole) if sole else tuple(sentences)


def hints(evaluations: Sequence[Evaluation], facts: MachineFacts, request: Request, again: Again) -> tuple[str, ...]:
    """The ways on, as commands: what fits in place of the lockset asked for; for a GPU node, where there is no GPU."""
    other = next((each for each in evaluations if {one.requirement for one in each.failed} == {"lockset"}), None)
    free = replace(request, lockset=None)
    if other is not None and again(free, facts.machine) is not None:
        return (f"leave --lockset out: {plan_command(free)}",)
    if not without_gpu(evaluations, facts):
        return ()
    given = [word for word in zip(request.described[::2], request.described[1::2], strict=True) if word[0] in _HOST]
    elsewhere = replace(request, described=tuple(word for pair in given for word in pair))
    node = replace(elsewhere, described=("--machine", "node.json", *elsewhere.described))
    there = command("probe", "-o", "node.json")
    record_it = f"or record it, on the GPU node: {there}\n  then here: {plan_command(node)}"
    return (*_example(facts, elsewhere, again), record_it)


def _fixed(evaluation: Evaluation) -> frozenset[str]:
    return _FIXED & {verdict.requirement for verdict in evaluation.failed}


def without_gpu(evaluations: Sequence[Evaluation], facts: MachineFacts) -> bool:
    """Whether a machine is known to have no GPU, and refused for that."""
    briefs = {verdict.brief for evaluation in evaluations for verdict in evaluation.failed}
    return bool(briefs & {"no GPU", "no NVIDIA GPU", "no AMD GPU"}) and not (facts.cuda.gpus or facts.rocm.gpus)


def _example(facts: MachineFacts, request: Request, again: Again) -> Iterator[str]:
    """The first GPU of the examples for which something fits, as a command."""
    from verl_env.machine.describe import describe  # noqa: PLC0415  only a refusal needs it

    for gpu, flag, version in EXAMPLES:
        machine = describe(facts.machine, gpus=[gpu], **{flag.removeprefix("--"): version})
        asked = replace(request, described=("--gpu", gpu, flag, version, *request.described))
        if again(asked, machine) is not None:
            yield f"describe the GPU node, for example: {plan_command(asked)}"
            return


def _distance(evaluation: Evaluation, request: Request) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """Kinds of change, how many verdicts, then how far the driver and glibc have to go."""
    failed = evaluation.failed
    kinds = {verdict.requirement for verdict in failed}
    driver, glibc = evaluation.lockset.requires.driver, evaluation.lockset.requires.glibc
    left_out = skippable(evaluation, request)
    return (
        NATIVE_DISTANCE if left_out else sum(DISTANCE[kind] for kind in kinds),
        len(failed),
        (numbers(driver.minimum) or ()) if driver and "driver" in kinds else (),
        (numbers(glibc.minimum) or ()) if glibc and "glibc" in kinds else (),
    )


def _sole_native(evaluation: Evaluation, request: Request) -> str | None:
    """A sentence where native components are all that stands in the way."""
    names = [component_name(evaluation.lockset, name) for name in sole_natives(evaluation)]
    instead = "; or do without: --native skip" if skippable(evaluation, request) else ""
    if len(names) == 1:
        return f"nothing else: {names[0]}, a native component, is the only obstacle{instead}"
    return f"nothing else: {listed(names)}, native components, are the only obstacles{instead}" if names else None


def _python(lockset: Lockset, _: Sequence[Verdict], __: MachineFacts, request: Request) -> str:
    if not lockset.pythons:
        return "a lock of it for some Python"
    releases = [lock.python for lock in lockset.pythons]
    return f"Python {listed(releases, 'or')} instead of {request.python}"


def _preview(*_: object) -> str:
    return "previews allowed: --preview"


def _lockset(lockset: Lockset, *_: object) -> str:
    return f"another lockset: {lockset.id}"


def _with(_: Lockset, failed: Sequence[Verdict], *__: object) -> str:
    own = listed([f"{verdict.subject} {verdict.have}" for verdict in failed])
    return f"its own {own}: leave {listed(quoted('--with', verdict.need) for verdict in failed)} out"


def _verl(lockset: Lockset, *_: object) -> str:
    return f"another release of verl: {lockset.verl}"


def _rocm(lockset: Lockset, *_: object) -> str:
    return f"the user space of ROCm {listed(lockset.requires.rocm, 'or')}"


def _driver(lockset: Lockset, failed: Sequence[Verdict], facts: MachineFacts, _: Request) -> str:
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


def _gpus(lockset: Lockset, failed: Sequence[Verdict], facts: MachineFacts, request: Request) -> str:
    """Without the odd GPUs, where the others fit; else other GPUs."""
    side = facts.cuda if lockset.accelerator == "cuda" else facts.rocm
    odd = {index for verdict in failed for index in verdict.devices}
    rest = [index for gpus in side.gpus for index in gpus.indices if index not in odd]
    if rest and all(verdict.devices for verdict in failed):
        variable = "CUDA_VISIBLE_DEVICES" if lockset.accelerator == "cuda" else "ROCR_VISIBLE_DEVICES"
        shown = ",".join(map(str, sorted(rest)))
        return f"a job without {_numbered(sorted(odd))} ({variable}={shown}), described with --gpu"
    return f"other GPUs: {_supported(lockset, request)}"


def _accelerator(lockset: Lockset, _: Sequence[Verdict], __: MachineFacts, request: Request) -> str:
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


def _site(_: Lockset, failed: Sequence[Verdict], *__: object) -> str:
    return f"a configuration that allows it: {listed(verdict.subject or '' for verdict in failed)}"


def _stack(lockset: Lockset, *_: object) -> str:
    return f"another stack, of {listed(lockset.provides)}"


def _supported(lockset: Lockset, request: Request) -> str:
    gpus = listed(supported_gpus(lockset, request.stack), "or")
    return f"compute capability {gpus}" if gpus and lockset.accelerator == "cuda" else gpus or "any"


def _numbered(indices: Sequence[int]) -> str:
    return f"{'GPU' if len(indices) == 1 else 'GPUs'} {listed(map(str, indices))}"


_CHANGES: dict[str, Callable[[Lockset, Sequence[Verdict], MachineFacts, Request], str]] = {
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
    "site": _site,
}
