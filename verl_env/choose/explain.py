"""Explanations as data: refusals grouped by what stands most in the way, and a choice with its reasons."""

from __future__ import annotations

from verl_env.choose.accelerator import gpu_names
from verl_env.choose.compare import release
from verl_env.choose.facts import facts_of
from verl_env.choose.request import ASKED, extra_components, was_installed, was_proven
from verl_env.machine.model import Nvidia
from verl_env.records import record
from verl_env.texts import counted, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verl_env.choose.model import Choice, Evaluation, Request, Verdict
    from verl_env.machine.model import Machine

#: Which failed requirement a refusal counts under: what was asked for first (the machine does not matter to those),
#: then from what can be changed least.
OBSTACLES = (
    "stack",
    "site",
    "lockset",
    "verl",
    "tier",
    "platform",
    "arch",
    "accelerator",
    "compute-capability",
    "gfx",
    "glibc",
    "driver",
    "rocm",
    "preview",
    "with",
    "python",
)
#: How many locksets a sentence names.
NAMED = 2
_VENDORS = {"cuda": "NVIDIA GPUs", "rocm": "AMD GPUs"}
_PLACE = {requirement: place for place, requirement in enumerate(OBSTACLES)}


@record
class RefusalGroup:
    """Refusals that count together: ``brief`` is what they share, ``verdict`` the first of its kind."""

    brief: str
    verdict: Verdict
    evaluations: tuple[Evaluation, ...]

    @property
    def by_request(self) -> bool:
        """Whether the request refuses, not the machine."""
        return self.verdict.requirement in ASKED

    @property
    def messages(self) -> tuple[str, ...]:
        """Every different sentence of this reason, in order."""
        found = (verdict.message for each in self.evaluations for verdict in each.failed if verdict.brief == self.brief)
        return tuple(dict.fromkeys(found))


def obstacle(evaluation: Evaluation) -> Verdict | None:
    """The failed verdict that a refused lockset counts under; None where it fits."""
    return min(evaluation.failed, key=lambda verdict: _PLACE[verdict.requirement], default=None)


def reasons(evaluations: Iterable[Evaluation]) -> tuple[RefusalGroup, ...]:
    """The refused ones grouped: reasons of the machine before those of the request, the largest group first."""
    groups: dict[str, list[Evaluation]] = {}
    firsts: dict[str, Verdict] = {}
    for evaluation in evaluations:
        verdict = obstacle(evaluation)
        if verdict is not None:
            groups.setdefault(verdict.brief, []).append(evaluation)
            firsts.setdefault(verdict.brief, verdict)
    made = [RefusalGroup(brief, firsts[brief], shortest_first(group)) for brief, group in groups.items()]
    return tuple(sorted(made, key=lambda reason: (reason.by_request, -len(reason.evaluations), reason.brief)))


def shortest_first(evaluations: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
    """Those with the fewest conflicts first, else in their order."""
    return tuple(sorted(evaluations, key=lambda each: len(each.failed)))


def summary(evaluations: Iterable[Evaluation]) -> str:
    """The groups in one line: ``"9 by driver < 580, 3 by sm_70"``; empty where nothing is refused."""
    return ", ".join(f"{len(reason.evaluations)} by {reason.brief}" for reason in reasons(evaluations))


def candidates(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Those that are what was asked for: of the stack, the release and the lockset, whatever refuses them."""
    narrowing = {"stack", "lockset", "verl"}
    return [each for each in evaluations if narrowing.isdisjoint(verdict.requirement for verdict in each.failed)]


def for_others(evaluations: Sequence[Evaluation], machine: Machine) -> tuple[Evaluation, ...]:
    """Those for hardware of another kind, which nobody with this machine asks about: another vendor, another processor.

    None of them where they are all that there is.
    """
    amd = machine.nvidia is None and machine.amd is not None
    other = [each for each in evaluations if each.failed and _for_another(each, "rocm" if amd else "cuda")]
    return tuple(other) if len(other) < len(evaluations) else ()


def others_line(evaluations: Sequence[Evaluation]) -> str:
    """What hardware they are for: ``"7 locksets for AMD GPUs, 1 for aarch64"``."""
    kinds: dict[str, int] = {}
    for each in evaluations:
        kind = listed(each.lockset.requires.arch, "or") if _arch_failed(each) else _VENDORS[each.lockset.accelerator]
        kinds[kind] = kinds.get(kind, 0) + 1
    (first, number), *rest = sorted(kinds.items(), key=lambda item: -item[1])
    return ", ".join([f"{counted(number, 'lockset')} for {first}", *(f"{count} for {kind}" for kind, count in rest)])


def _for_another(evaluation: Evaluation, mine: str) -> bool:
    return _arch_failed(evaluation) or (
        evaluation.lockset.accelerator != mine
        and any(verdict.requirement == "accelerator" for verdict in evaluation.failed)
    )


def _arch_failed(evaluation: Evaluation) -> bool:
    return any(verdict.requirement == "arch" for verdict in evaluation.failed)


def why(choice: Choice, request: Request) -> tuple[str, ...]:
    """Why this lockset and no other: how many fit, what decided among them, what refused the newer ones."""
    chosen, every = choice.lockset, counted(len(candidates(choice.others)) + 1, "lockset")
    incomplete = {passed.lockset.id for passed in choice.passed}
    number = 1 + sum(other.fits for other in choice.others)
    fitting = [other for other in choice.others if other.fits and other.lockset.id not in incomplete]
    if number == 1:
        sentences = [f"the only one of {every} that fits"]
    else:
        untried = [other for other in fitting if _only_locked(other, choice, request)]
        among = "those that were installed and checked" if untried else "them"
        if incomplete - {chosen.id}:
            lacks = request.native is None and any(build.how == "skip" for build in choice.builds)
            among = f"{among} {'that lack least' if lacks else 'of which every component can be had'}"
        sentences = [f"{number} of {every} fit; verl {chosen.family} is the newest family among {among}"]
        if untried:
            newest = listed([other.lockset.id for other in untried[:NAMED]], "or")
            sentences.append(f"newer, fits, but was only locked, not installed: --lockset {newest}")
    rivals = [other for other in fitting if other.lockset.family == chosen.family]
    tried = was_installed(chosen, request)
    rivals = [other for other in rivals if was_installed(other.lockset, request) is tried]
    if rivals:
        sentences.append(_decided(choice, rivals, request))
    newer = [each for each in candidates(choice.refused) if release(each.lockset.family) > release(chosen.family)]
    if newer:
        sentences.append(f"newer, but refused: {summary(newer)}")
    return tuple(sentences)


def _only_locked(other: Evaluation, choice: Choice, request: Request) -> bool:
    """Whether a newer lockset lost because nobody has installed it yet for this Python."""
    newer = release(other.lockset.family) > release(choice.lockset.family)
    return newer and was_installed(choice.lockset, request) and not was_installed(other.lockset, request)


def _decided(choice: Choice, rivals: Sequence[Evaluation], request: Request) -> str:
    """What put the chosen one before the others of its family that fit."""
    others = listed(rival.lockset.id for rival in rivals)
    if was_proven(choice.lockset, request) and not any(was_proven(rival.lockset, request) for rival in rivals):
        return f"it was proven, and {others} not"
    least = min(extra_components(rival.lockset, request) for rival in rivals)
    if extra_components(choice.lockset, request) < least:
        return f"it brings less that was not asked for than {others}"
    return f"it comes before {others} in the declared order"


def machine_line(machine: Machine) -> str:
    """A machine in one line: ``"8 x NVIDIA H100 80GB HBM3, driver 550.54.15, glibc 2.36, x86_64"``."""
    facts = facts_of(machine)
    gpus = gpu_names(facts)
    no_gpus = machine.nvidia is None and machine.amd is None
    driver = machine.nvidia.driver if isinstance(machine.nvidia, Nvidia) else None
    rocm = facts.amd.rocm if facts.amd else None
    parts = [
        *(gpus or (("no GPU",) if no_gpus else ("GPUs not stated",))),
        *([f"driver {driver}"] if isinstance(driver, str) else []),
        *([f"ROCm {rocm}"] if isinstance(rocm, str) else []),
        *([f"glibc {machine.host.glibc}"] if isinstance(machine.host.glibc, str) else []),
        *([machine.host.arch] if isinstance(machine.host.arch, str) else []),
    ]
    return ", ".join(parts)
