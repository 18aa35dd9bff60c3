"""Findings of ``verl-env find`` for a reader."""

from __future__ import annotations

from shlex import quote

from verl_env.choose.find.to_json import asked_json, index_command
from verl_env.cli.console import say
from verl_env.cli.render.plan import hang, marks_for
from verl_env.texts import counted, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.find.model import Findings, Found
    from verl_env.cli.render.plan import Marks
    from verl_env.components.model import Wheel

_SAID = {
    "torch": "torch {}",
    "cuda": "CUDA {}",
    "rocm": "ROCm {}",
    "python": "Python {}",
    "abi": "the {} C++ ABI",
    "arch": "{}",
    "glibc": "glibc {}",
    "gpus": "GPUs {}",
}
#: Wheels that are shown of those that fit, without --all.
SHOWN = 5


def render_findings(
    console: Console,
    findings: Findings,
    facts: MachineFacts,
    *,
    every: bool = False,
    into: str | None = None,
    unicode: bool | None = None,
) -> None:
    """Prints what fits with its digest, source and date, then why the rest does not, then builds and indexes."""
    marks = marks_for(console, unicode=unicode)
    asked = asked_json(findings.world, facts)
    words = ", ".join(_SAID[name].format(_value(value)) for name, value in asked.items())
    hang(console, f"{findings.name}{findings.specifier} ", f"for {words or 'anything'}", style="bold")
    fitting = [each for each in findings.wheels if each.fits is not False]
    for each in fitting if every else fitting[:SHOWN]:
        _wheel(console, each, marks)
    if len(fitting) > SHOWN and not every:
        say(console, f"  and {counted(len(fitting) - SHOWN, 'more wheel')} that may do: --all", style="dim")
    if not fitting:
        say(console, f"  {marks.cross} no known wheel fits", style="bold red")
    rest = [each for each in findings.wheels if each.fits is False]
    _rest(console, rest, marks, every=every, near=not fitting)
    _builds(console, findings.builds, marks, every=every or not fitting)
    for index in findings.indexes:
        command = index_command(findings.name, index, findings.world)
        what = f"; ask: {command}" if command else ", by --torch and --cuda"
        hang(console, "  further: ", f"{index.publisher} has wheels on an index of its own, not listed here{what}")
    for words in findings.world.assumed:
        hang(console, "note: ", words, style="dim")
    for command in _commands(findings, into):
        hang(console, "hint: ", command, style="bold cyan")


def _value(value: object) -> str:
    return listed(map(str, value)) if isinstance(value, list) else str(value)


def _wheel(console: Console, each: Found, marks: Marks) -> None:
    wheel = each.wheel
    if wheel is None:
        return
    say(console, f"  {marks.met if each.fits else marks.doubt} {wheel.file}", style="green" if each.fits else "yellow")
    hang(console, "      for     ", ", ".join(_for(wheel)))
    for doubt in each.doubts:
        hang(console, "      perhaps ", doubt.message, style="yellow")
    if wheel.after:
        hang(
            console,
            "      needs   ",
            f"{listed(wheel.after)} {each.version} before it; verl-env pip install brings them",
        )
    if each.unstated:
        hang(console, "      depends ", f"on what was not stated: {listed(each.unstated)}", style="dim")
    hang(console, "      at      ", wheel.url)
    hang(console, "      sha256  ", wheel.sha256 or "none is recorded (hash-unrecorded)")
    hang(console, "      by      ", f"{wheel.publisher or 'the project'}, {wheel.date or 'date not recorded'}")
    hang(console, "      source  ", wheel.source, style="dim")
    if not wheel.address_confirmed:
        hang(console, "      warning ", "nobody has confirmed that it lies there", style="yellow")


def _for(wheel: Wheel) -> Iterator[str]:
    """What a wheel is for, in the words of the flags."""
    if wheel.torch:
        yield f"torch {listed((wheel.torch, *wheel.torch_also), 'or')}"
    if wheel.cuda:
        made = f" (made with {wheel.toolkit})" if wheel.toolkit and wheel.toolkit != wheel.cuda else ""
        yield f"CUDA {wheel.cuda}{made}"
    if wheel.rocm:
        yield f"ROCm {wheel.rocm}"
    yield f"Python {listed(wheel.pythons, 'or')}"
    if wheel.cxx11abi is not None:
        yield f"the {'new' if wheel.cxx11abi else 'old'} C++ ABI"
    if wheel.arch:
        yield wheel.arch
    if wheel.glibc:
        yield f"glibc {wheel.glibc} or newer"
    yield f"GPUs {' '.join(wheel.gpus)}" if wheel.gpus else "GPUs not recorded"


def _rest(console: Console, rest: Sequence[Found], marks: Marks, *, every: bool, near: bool) -> None:
    """Those that do not fit: each with all reasons, or how many by their first."""
    if every or near:
        for each in rest if every else rest[:SHOWN]:
            reasons = "; ".join(reason.message for reason in each.reasons)
            what = each.wheel.file if each.wheel is not None else each.version
            hang(console, f"  {marks.cross} ", f"{what}: {reasons}", style="dim")
    hidden = len(rest) - (len(rest) if every else SHOWN if near else 0)
    if hidden > 0:
        counts: dict[str, int] = {}
        for each in rest:
            counts[each.reasons[0].fact] = counts.get(each.reasons[0].fact, 0) + 1
        told = ", ".join(f"{count} by {fact}" for fact, count in sorted(counts.items(), key=lambda item: -item[1]))
        say(console, f"  {marks.cross} {counted(len(rest), 'wheel')} that do not fit ({told}): --all", style="dim")


def _builds(console: Console, builds: Sequence[Found], marks: Marks, *, every: bool) -> None:
    for each in builds if every else builds[:1]:
        source = each.recipe.source if each.recipe else ""
        head = f"  {marks.met if each.fits else marks.cross} "
        if each.fits:
            depends = f"; depends on {listed(each.unstated)}" if each.unstated else ""
            hang(console, head, f"a build of {each.version} from {source} would work here{depends}")
        else:
            reasons = "; ".join(reason.message for reason in each.reasons)
            hang(console, head, f"a build of {each.version} from {source}: {reasons}", style="dim")
        if not every:
            return


def _commands(findings: Findings, into: str | None) -> Iterator[str]:
    """The command that takes the best."""
    best = findings.best
    if best is None:
        return
    pin = f"{findings.name}=={best.version}"
    if into is not None:
        yield f"in an environment that verl-env made: verl-env pip --into {quote(into)} install {findings.name}"
    if best.wheel is not None and not best.wheel.on_index:
        digest = f"#sha256={best.wheel.sha256}" if best.wheel.sha256 else ""
        yield f"pip install --no-deps '{findings.name} @ {best.wheel.url}{digest}'"
    elif best.recipe is not None and best.recipe.source == "sdist":
        yield f"pip install --no-build-isolation --no-deps --no-binary {findings.name} '{pin}'"
