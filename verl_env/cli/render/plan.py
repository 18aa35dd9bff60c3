"""A choice or a refusal as text: what was chosen and why, or why nothing was and how near it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.command import plan_command
from verl_env.choose.coverage import kind_of, kind_of_refusal, origin
from verl_env.choose.errors import nearest_words
from verl_env.choose.explain import candidates, for_others, machine_line, others_line, reasons, why
from verl_env.choose.facts import facts_of
from verl_env.choose.nearest import without_gpu
from verl_env.choose.uncovered import uncovered
from verl_env.cli.console import say, wrapped
from verl_env.records import record
from verl_env.texts import counted, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from verl_env.choose.explain import RefusalGroup
    from verl_env.choose.model import Choice, Evaluation, PassedOver, Refusal, Request, Verdict
    from verl_env.machine.model import Machine

#: How many different sentences a group of refusals shows where ``--explain`` is not given.
SHOWN = 3


@record
class Marks:
    """The characters of chains and marks; ``ASCII`` is for streams that cannot show the others."""

    cross: str
    branch: str
    trunk: str
    last: str
    met: str
    doubt: str


UNICODE = Marks("\N{MULTIPLICATION SIGN}", "├─▶ ", "│   ", "╰─▶ ", "✓", "!")
ASCII = Marks("x", "|-> ", "|   ", "`-> ", "+", "!")


def render_choice(
    console: Console,
    choice: Choice,
    request: Request,
    machine: Machine,
    *,
    explain: bool = False,
    unicode: bool | None = None,
) -> None:
    """Prints what was chosen, why, and its warnings; with ``explain`` every verdict on it and every refusal.

    ``unicode`` says whether the console can show more than ASCII; without it, its stream does.
    """
    lockset, marks = choice.lockset, marks_for(console, unicode=unicode)
    preview = ", a preview" if lockset.preview else ""
    say(console, lockset.id, style="bold green", end="")
    say(console, f" ({lockset.tier}{preview})", style="dim")
    versions = [f"verl {lockset.verl}", *(f"{name} {version}" for name, version in lockset.engines.items())]
    rows = [("contents", ", ".join([*versions, f"torch {lockset.torch}", accelerator_text(choice.evaluation)]))]
    rows.append(("python", f"{choice.python} ({choice.interpreter or 'no interpreter yet'})"))
    rows.append(("machine", machine_line(machine)))
    rows += [("besides", f"{extra}, under the pins of the lock") for extra in choice.extras]
    rows += [("because" if not place else "", sentence) for place, sentence in enumerate(why(choice, request))]
    for name, text in rows:
        hang(console, f"  {name:<10}", text, style="bold")
    if explain:
        _verdicts(console, choice.evaluation.verdicts, marks)
        render_ways(console, choice, marks)
        _refusals(console, choice.refused, marks)
        for text in uncovered((choice.evaluation, *choice.others), facts_of(machine), request):
            hang(console, "  ", text)
    for warning in choice.warnings:
        hang(console, "warning: ", warning, style="bold yellow")


def render_ways(console: Console, choice: Choice, marks: Marks) -> None:
    """How each native component gets in, what is tried else, what does not fit, and the environments given up."""
    for build in choice.builds:
        hang(
            console,
            f"    {marks.met if build.how != 'skip' else marks.doubt} ",
            f"{build.name} {build.version}: {build.reason}",
        )
        for other in build.others:
            hang(console, "        else ", f"{other.version}: {other.reason}", style="dim")
        for way in build.rejected:
            hang(console, f"        {marks.cross} ", f"{way.what}: {way.reason}", style="dim")
    render_passed(console, choice.passed, marks)


def render_passed(console: Console, passed: Iterable[PassedOver], marks: Marks) -> None:
    """Locksets and Pythons in which native components cannot be had, each with every way and why not."""
    for each in passed:
        say(console, f"  {marks.cross} {each.lockset.id} on Python {each.python} cannot be completed", style="bold")
        for missing in each.missing:
            say(console, f"      {missing.name} {missing.version}".rstrip(), style="red")
            for way in missing.rejected:
                hang(console, f"        {marks.cross} ", f"{way.what}: {way.reason}" if way.reason else way.what)


def render_refusal(
    console: Console,
    refusal: Refusal,
    request: Request,
    machine: Machine,
    *,
    explain: bool = False,
    unicode: bool | None = None,
) -> None:
    """Prints that nothing fits, the reasons grouped, the nearest with what it would take, and the ways on."""
    marks = marks_for(console, unicode=unicode)
    what = f"for {request.name} " if request.stack else ""
    headline = f"No lockset {what}fits: {machine_line(machine)}"
    hang(console, f"  {marks.cross} ", headline, style="bold red", trunk=f"  {marks.trunk[0]}")
    node = without_gpu(refusal.evaluations, facts_of(machine))
    for text in refusal.hints if node else ():
        hint(console, text)
    folded = () if explain else for_others(candidates(refusal.evaluations), machine)
    _chain(console, refusal.evaluations, marks, near=refusal.nearest, explain=explain, folded=folded)
    if refusal.nearest is not None:
        say(console, f"nearest: {refusal.nearest.lockset.id}, which would take", style="bold")
        for change in refusal.changes:
            hang(console, "  - ", change)
    so = () if refusal.command is None else (f"{nearest_words(refusal)}: {refusal.command}",)
    more = () if explain else (f"every reason: {plan_command(request, '--explain')}",)
    for text in refusal.uncovered:
        hang(console, "", text)
    if explain and kind_of_refusal(refusal.nearest, refusal.uncovered) == "impossible":
        hang(console, "", "impossible on this machine as it is: the machine refuses the nearest, not what is locked")
    for text in (*(() if node else refusal.hints), *so, *more):
        hint(console, text)


def marks_for(console: Console, *, unicode: bool | None = None) -> Marks:
    """The characters that a console can show; ``unicode`` overrides what its stream says."""
    from verl_env.cli.console import unicode_ok

    return UNICODE if (unicode_ok(console.file) if unicode is None else unicode) else ASCII


def accelerator_text(evaluation: Evaluation) -> str:
    """``"CUDA 12.4"`` or ``"ROCm 6.3"``."""
    lockset = evaluation.lockset
    if lockset.accelerator == "cuda":
        return f"CUDA {lockset.cuda or '?'}"
    return f"ROCm {lockset.rocm or '?'}"


def hang(console: Console, head: str, text: str, *, style: str = "", trunk: str = "") -> None:
    """Prints a text behind a head, its further lines indented below; only a terminal makes it wrap."""
    lines = wrapped(console, text, len(head), len(head)).splitlines() if console.is_terminal else [text]
    for place, line in enumerate(lines or [""]):
        say(console, head if not place else trunk.ljust(len(head)), style=style, end="")
        say(console, line[len(head) :] if place and line.startswith(" " * len(head)) else line)


def hint(console: Console, text: str) -> None:
    """Prints a way on; a command that does not fit beside its words gets a line of its own, which is never broken."""
    for place, line in enumerate(text.splitlines()):
        words, colon, command = line.strip().rpartition(": ")
        head = "hint: " if not place else "      "
        say(console, head, style="bold cyan", end="")
        if console.is_terminal and len(head) + len(line.strip()) > console.width:
            say(console, words + colon.rstrip())
            say(console, f"  {command}")
        else:
            say(console, line.strip())


def _verdicts(console: Console, verdicts: Iterable[Verdict], marks: Marks) -> None:
    """Every verdict on the chosen lockset, met or in doubt."""
    for verdict in verdicts:
        met = verdict.outcome == "met"
        head = f"    {marks.met if met else marks.doubt} {verdict.requirement}: "
        hang(console, head, verdict.message, style="green" if met else "yellow")


def _refusals(console: Console, refused: Sequence[Evaluation], marks: Marks) -> None:
    if refused:
        say(console, f"  {marks.cross} {counted(len(refused), 'lockset')} refused", style="bold")
        _chain(console, refused, marks, near=None, explain=True)


def _chain(
    console: Console,
    evaluations: Sequence[Evaluation],
    marks: Marks,
    *,
    near: Evaluation | None,
    explain: bool,
    folded: Sequence[Evaluation] = (),
) -> None:
    """The groups of refusals as a chain; what is for other hardware and what was not asked for are its last links."""
    wanted = candidates(evaluations)
    rest = [each for each in evaluations if not each.fits and each not in wanted]
    links = [_link(reason, near, explain=explain) for reason in reasons(each for each in wanted if each not in folded)]
    links += [(others_line(folded), [])] if folded else []
    if rest:
        links.append((f"{counted(len(rest), 'lockset')} not asked for", list(_unwanted(rest, explain=explain))))
    for place, (heading, lines) in enumerate(links):
        last = place == len(links) - 1
        trunk = "  " + (" " * len(marks.trunk) if last else marks.trunk)
        hang(console, f"  {marks.last if last else marks.branch}", heading, style="bold red", trunk=trunk)
        for line in lines:
            depth = len(line) - len(line.lstrip())
            hang(console, trunk + " " * depth, line.lstrip(), style="red", trunk=trunk)


def _link(reason: RefusalGroup, near: Evaluation | None, *, explain: bool) -> tuple[str, list[str]]:
    """A group's heading and sentences: those of every lockset, or of the one that speaks for the group."""
    heading = f"{counted(len(reason.evaluations), 'lockset')} by {reason.brief}"
    if explain:
        return heading, [line for evaluation in reason.evaluations for line in _explained(evaluation)]
    speaker = near if near is not None and near in reason.evaluations else reason.evaluations[0]
    failed = sorted(speaker.failed, key=lambda verdict: verdict.brief != reason.brief)
    messages = [verdict.message for verdict in failed]
    more = [f"and {len(messages) - SHOWN} more"] if len(messages) > SHOWN else []
    return f"{heading}, {'such as' if len(reason.evaluations) > 1 else 'namely'} {speaker.lockset.id}", [
        *messages[:SHOWN],
        *more,
    ]


def _unwanted(evaluations: Sequence[Evaluation], *, explain: bool) -> Iterator[str]:
    if explain:
        for evaluation in evaluations:
            yield from _explained(evaluation)
    else:
        yield listed(dict.fromkeys(reason.verdict.message for reason in reasons(evaluations)), "or")


def _explained(evaluation: Evaluation) -> Iterator[str]:
    yield evaluation.lockset.id
    for verdict in evaluation.failed:
        yield f"  {verdict.requirement}: {verdict.message}"
        yield f"    {kind_of(verdict)}, by {origin(verdict, evaluation.lockset)}"
