"""A diagnosis as text, JSON or markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.cli.console import unicode_ok
from verl_env.command_line import visible
from verl_env.records import as_dict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rich.console import Console

    from verl_env.doctor.check import Check
    from verl_env.doctor.model import Diagnosis, Finding, Unrecognised
    from verl_env.environment.proofs import KeptProof

_COLOURS = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
_MARKS = {"error": ("✗", "x"), "warning": ("!", "!"), "info": ("i", "i")}
_BASIS = {"log": "only the log says so", "facts": "", "both": ""}
_EVIDENCE = 6


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as ``verl-env doctor --json`` prints it."""
    return {
        "schema": 1,
        "ok": diagnosis.ok,
        "findings": [_finding_json(finding) for finding in diagnosis.findings],
        "skipped": [as_dict(skipped) for skipped in diagnosis.skipped],
        "seconds": round(diagnosis.seconds, 3),
        "checked": diagnosis.checked,
        "roots": [finding.id for finding in diagnosis.roots],
        "unrecognised": [as_dict(one) for one in diagnosis.unrecognised],
    } | ({} if diagnosis.read is None else {"read": list(diagnosis.read)})


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "theme": finding.theme,
        "severity": finding.severity,
        "title": finding.title,
        "evidence": list(finding.evidence),
        "cause": finding.cause,
        "remedy": {"text": finding.remedy.text, "commands": list(finding.remedy.commands)},
        "references": list(finding.references),
        "sources": [{"source": source, "read": finding.read or None} for source in finding.sources],
        "explains": list(finding.explains),
        "basis": finding.basis,
    }


def render(diagnosis: Diagnosis, console: Console, *, subject: str, explain: bool = False) -> None:
    """The diagnosis for a reader: roots by severity with their consequences, then one block of commands.

    With ``explain`` each root has its sources, and the day on which they were read.
    """
    for finding in diagnosis.roots:
        _root(finding, diagnosis, console, explain=explain)
    commands = list(dict.fromkeys(_commands(diagnosis)))
    if commands:
        console.print("to mend it:", style="bold")
        for command in commands:
            console.print(f"    {command}", markup=False)
        console.print()
    for unknown in diagnosis.unrecognised:
        _unrecognised(unknown, console)
    for skipped in diagnosis.skipped:
        console.print(f"skipped {skipped.id}: {skipped.reason}", markup=False, style="dim")
    console.print(_summary(diagnosis, subject), markup=False)


def _root(finding: Finding, diagnosis: Diagnosis, console: Console, *, explain: bool) -> None:
    mark = _MARKS[finding.severity][0 if unicode_ok() else 1]
    console.print(f"{mark} {finding.severity}", style=_COLOURS[finding.severity], end="", markup=False)
    console.print(f" [{finding.id}] {finding.title}", markup=False)
    for line in finding.evidence[:_EVIDENCE]:
        console.print(f"    {line}", markup=False, style="dim")
    if len(finding.evidence) > _EVIDENCE:
        console.print(f"    and {len(finding.evidence) - _EVIDENCE} more", style="dim")
    basis = f" ({_BASIS[finding.basis]})" if _BASIS[finding.basis] else ""
    console.print(f"  cause: {finding.cause}{basis}", markup=False)
    console.print(f"  remedy: {finding.remedy.text}", markup=False)
    if explain and finding.sources:
        day = f" (read {finding.read})" if finding.read else ""
        console.print(f"  sources: {', '.join(finding.sources)}{day}", markup=False)
    for line in _consequences(finding, diagnosis, 1, set()):
        console.print(line, markup=False)
    console.print()


def _unrecognised(unknown: Unrecognised, console: Console) -> None:
    """A failure that no check explains: what it says, where it comes from, and what is known."""
    console.print("? this failure is not known", style="bold magenta", markup=False)
    console.print(f"    {unknown.line}", markup=False, style="dim")
    if unknown.file:
        whose = f" (of {unknown.package})" if unknown.package else ""
        console.print(f"  from: {unknown.file}{whose}", markup=False)
    for line in unknown.known:
        console.print(f"  known: {line}", markup=False)
    if unknown.nearest:
        console.print(f"  nearest: {', '.join(unknown.nearest)} (see: verl-env doctor --list)", markup=False)
    console.print()


def _consequences(finding: Finding, diagnosis: Diagnosis, depth: int, seen: set[str]) -> Iterator[str]:
    """The findings that this one causes, indented below it."""
    arm = "└─ causes" if unicode_ok() else "`- causes"
    by_id = {other.id: other for other in diagnosis.findings}
    for name in finding.explains:
        if name not in seen:
            seen.add(name)
            yield f"{'  ' * depth}{arm} [{name}] {by_id[name].title}"
            yield from _consequences(by_id[name], diagnosis, depth + 1, seen)


def _commands(diagnosis: Diagnosis) -> Iterator[str]:
    """The commands of every root that is worth acting on, most severe first."""
    for finding in diagnosis.roots:
        if finding.severity != "info":
            yield from finding.remedy.commands


def _summary(diagnosis: Diagnosis, subject: str) -> str:
    roots = diagnosis.roots
    count = {name: sum(root.severity == name for root in roots) for name in _COLOURS}
    work = f"{diagnosis.checked} checks, {diagnosis.seconds:.1f} s"
    if diagnosis.ok is False:
        return f"{subject}: {_causes(diagnosis, count['error'])} ({work})"
    counts = ", ".join((work, *(f"{count[name]} {name}" for name in ("warning", "info") if count[name])))
    return f"{subject}: {verdict(diagnosis)} ({counts})"


def _causes(diagnosis: Diagnosis, count: int) -> str:
    """How many roots are errors; an error below a warning counts with the root that it hangs from."""
    if not count:
        errors = sum(finding.severity == "error" for finding in diagnosis.findings)
        return "1 error" if errors == 1 else f"{errors} errors"
    return "1 root cause of severity error" if count == 1 else f"{count} root causes of severity error"


def verdict(diagnosis: Diagnosis) -> str:
    """The answer in words, as exit code and ``ok`` give it."""
    if diagnosis.ok is False:
        return "not healthy"
    if diagnosis.unrecognised:
        several = len(diagnosis.unrecognised) > 1
        return "failures that are not known" if several else "a failure that is not known"
    if diagnosis.skipped:
        several = len(diagnosis.skipped) > 1
        return f"{len(diagnosis.skipped)} checks could not be made" if several else "a check could not be made"
    if diagnosis.read is None:
        return "healthy"
    if not diagnosis.read:
        return "nothing was read in it: no package, no machine, no failure"
    return f"nothing wrong in what it states: {', '.join(diagnosis.read)}"


def markdown(diagnosis: Diagnosis, *, subject: str) -> str:
    """The diagnosis as a reply in an issue."""
    lines = [f"**verl-env doctor** on {subject}: {verdict(diagnosis)}", ""]
    by_id = {finding.id: finding for finding in diagnosis.findings}
    for finding in diagnosis.roots:
        lines += [f"### {finding.severity}: {finding.title} (`{finding.id}`)", "", finding.cause, ""]
        lines += [f"- {_code(line)}" for line in finding.evidence[:_EVIDENCE]]
        lines += [f"- causes `{name}`: {by_id[name].title}" for name in finding.explains]
        lines += ["", finding.remedy.text]
        if finding.remedy.commands:
            lines += ["", "```sh", *finding.remedy.commands, "```"]
        day = f" (read {finding.read})" if finding.read else ""
        lines += ["", f"References: {', '.join(finding.references)}{day}", ""]
    for unknown in diagnosis.unrecognised:
        lines += ["### not known: a failure that no check explains", "", f"- {_code(unknown.line)}"]
        lines += [f"- from {_code(unknown.file)}"] if unknown.file else []
        lines += [f"- {line}" for line in unknown.known]
        lines += [f"- nearest: {', '.join(f'`{name}`' for name in unknown.nearest)}"] if unknown.nearest else []
        lines += [""]
    return visible("\n".join(lines))


def _code(text: str) -> str:
    """A text as code of one line, whatever is in it: its fence is longer than any run of backticks."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    blank = " " if len(fence) > 1 else ""
    return f"{fence}{blank}{' '.join(text.split())}{blank}{fence}"


def render_list(checks: tuple[Check, ...], console: Console) -> None:
    """Every check with its theme, severity and the failure modes it covers."""
    for check in checks:
        covers = ",".join(check.covers)
        line = f"{check.id:34} {check.theme:12} {check.severity:8} {covers:16} {check.title}"
        console.print(line, markup=False)


def render_proof(proof: KeptProof, console: Console) -> None:
    """One line of what ``verl-env verify`` saw of this environment, on what and when."""
    found = proof.to_json()
    groups = [
        f"{state}: {', '.join(part for part, its in found['parts'].items() if its == state)}"
        for state in ("passed", "failed")
        if state in found["parts"].values()
    ]
    since = "" if proof.current else ", before the environment was last changed"
    where = f"{found['gpu'] or 'no GPU'}{', driver ' + found['driver'] if found['driver'] else ''}"
    line = f"verified {found['date'][:10]} on {where}{since}; {'; '.join(groups) or 'nothing could be tried'}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
