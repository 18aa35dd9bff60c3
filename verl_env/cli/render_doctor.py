"""A diagnosis as text, JSON or markdown."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from verl_env.cli.console import unicode_ok

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rich.console import Console

    from verl_env.doctor.model import Check, Diagnosis, Finding

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
        "skipped": [asdict(skipped) for skipped in diagnosis.skipped],
        "seconds": round(diagnosis.seconds, 3),
        "checked": diagnosis.checked,
        "roots": [finding.id for finding in diagnosis.roots],
    }


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
        "explains": list(finding.explains),
        "basis": finding.basis,
    }


def render(diagnosis: Diagnosis, console: Console, *, subject: str) -> None:
    """The diagnosis for a reader: roots by severity with their consequences, then one block of commands."""
    for finding in diagnosis.roots:
        _root(finding, diagnosis, console)
    commands = list(dict.fromkeys(_commands(diagnosis)))
    if commands:
        console.print("to mend it:", style="bold")
        for command in commands:
            console.print(f"    {command}", markup=False)
        console.print()
    for skipped in diagnosis.skipped:
        console.print(f"skipped {skipped.id}: {skipped.reason}", markup=False, style="dim")
    console.print(_summary(diagnosis, subject), markup=False)


def _root(finding: Finding, diagnosis: Diagnosis, console: Console) -> None:
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
    for line in _consequences(finding, diagnosis, 1, set()):
        console.print(line, markup=False)
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
    if diagnosis.ok:
        counts = [f"{count[name]} {name}" for name in ("warning", "info") if count[name]]
        parts = ", ".join((f"{diagnosis.checked} checks", f"{diagnosis.seconds:.1f} s", *counts))
        return f"{subject}: healthy ({parts})"
    causes = "1 root cause" if count["error"] == 1 else f"{count['error']} root causes"
    return f"{subject}: {causes} of severity error ({diagnosis.checked} checks, {diagnosis.seconds:.1f} s)"


def markdown(diagnosis: Diagnosis, *, subject: str) -> str:
    """The diagnosis for an issue."""
    lines = [f"**verl-env doctor** on {subject}: {'healthy' if diagnosis.ok else 'not healthy'}", ""]
    by_id = {finding.id: finding for finding in diagnosis.findings}
    for finding in diagnosis.roots:
        lines += [f"### {finding.severity}: {finding.title} (`{finding.id}`)", "", finding.cause, ""]
        lines += [f"- `{line}`" for line in finding.evidence[:_EVIDENCE]]
        lines += [f"- causes `{name}`: {by_id[name].title}" for name in finding.explains]
        lines += ["", finding.remedy.text]
        if finding.remedy.commands:
            lines += ["", "```sh", *finding.remedy.commands, "```"]
        lines += ["", f"References: {', '.join(finding.references)}", ""]
    return "\n".join(lines)


def render_list(checks: tuple[Check, ...], console: Console) -> None:
    """Every check with its theme, severity and the failure modes it covers."""
    for check in checks:
        covers = ",".join(check.covers)
        line = f"{check.id:34} {check.theme:12} {check.severity:8} {covers:16} {check.title}"
        console.print(line, markup=False)
