"""What was heard of many nodes, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.cli.console import unicode_ok
from verl_env.cluster.aspects import ASPECTS, worded
from verl_env.cluster.fold import fold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rich.console import Console

    from verl_env.cluster.deep.judge import DeepVerdict
    from verl_env.cluster.model import ClusterVerdict, Group, NodeFault, Severity

_COLOURS = {"error": "bold red", "warning": "bold yellow"}
_MARKS = {"error": ("✗", "x"), "warning": ("!", "!")}
_SHOWN = ("gpus", "driver", "glibc", "python", "environment", "lockset", "ray", "infiniband")


def to_json(verdict: ClusterVerdict | None, exchanged: DeepVerdict | None) -> dict[str, Any]:
    """The verdicts, of which one may be missing, as ``verl-env cluster doctor --json`` prints them."""
    said: dict[str, Any] = {"schema": 1, "ok": True, **({} if verdict is None else _verdict_json(verdict))}
    if exchanged is not None:
        said |= {"ok": said["ok"] and exchanged.ok, "deep": _deep_json(exchanged)}
    return said


def _verdict_json(verdict: ClusterVerdict) -> dict[str, Any]:
    return {
        "ok": verdict.ok,
        "expected": list(verdict.expected),
        "answered": sum(len(group.nodes) for group in verdict.groups),
        "missing": [{"node": each.node, "reason": each.reason} for each in verdict.missing],
        "groups": [_group_json(group) for group in verdict.groups],
        "differences": [
            {
                "nodes": list(each.nodes),
                "aspect": each.aspect,
                "severity": each.severity,
                "have": each.have,
                "others": each.others,
            }
            for each in verdict.differences
        ],
        "faults": [
            {"node": node, "id": fault.id, "severity": fault.severity, "title": fault.title,
             "evidence": list(fault.evidence)}
            for node, faults in verdict.faults.items()
            for fault in faults
        ],
        "notes": list(verdict.notes),
        "seconds": round(verdict.seconds, 3),
    }  # fmt: skip


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "nodes": list(group.nodes),
        "folded": fold(group.nodes),
        "fingerprint": group.digest,
        "aspects": dict(group.aspects),
        "machine": dict(group.machine),
        "findings": [dict(finding) for finding in group.findings],
    }


def _deep_json(exchanged: DeepVerdict) -> dict[str, Any]:
    return {
        "ok": exchanged.ok,
        "backend": exchanged.backend,
        "nodes": list(exchanged.nodes),
        "errors": list(exchanged.errors),
        "slow": list(exchanged.slow),
        "figures": exchanged.figures,
    }


def render(verdict: ClusterVerdict | None, exchanged: DeepVerdict | None, console: Console) -> None:
    """The verdicts for a reader."""
    if verdict is not None:
        _render(verdict, console)
    if exchanged is not None:
        _render_deep(exchanged, console)


def _render_deep(exchanged: DeepVerdict, console: Console) -> None:
    for text in exchanged.errors:
        _line(console, "error", text)
    for text in exchanged.slow:
        _line(console, "warning", f"slow: {text}")
    figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in exchanged.figures.items())
    state = "every node has the right sum" if exchanged.ok else "they do not reach each other"
    console.print(f"{exchanged.backend} over {len(exchanged.nodes)} nodes: {state} ({figures})", markup=False)


def _render(verdict: ClusterVerdict, console: Console) -> None:
    """Who is missing, what differs, what each group is, one line at the end."""
    for reason, nodes in _by_reason(verdict):
        _line(console, "error", f"{fold(nodes)}: no answer: {reason}")
    for each in verdict.differences:
        name = ASPECTS[each.aspect].words if each.aspect in ASPECTS else each.aspect
        _line(console, each.severity, f"{fold(each.nodes)}: {name} is {each.have}; elsewhere {each.others}")
    for fault, nodes in _by_fault(verdict):
        _line(console, fault.severity, f"{fold(nodes)}: {fault.title} [{fault.id}]")
        for line in fault.evidence:
            console.print(f"    {line}", markup=False, style="dim")
    for group in verdict.groups:
        _group(group, console)
    for note in verdict.notes:
        console.print(note, markup=False, style="dim")
    console.print(_summary(verdict), markup=False)


def _by_reason(verdict: ClusterVerdict) -> Iterator[tuple[str, list[str]]]:
    reasons: dict[str, list[str]] = {}
    for each in verdict.missing:
        reasons.setdefault(each.reason, []).append(each.node)
    yield from reasons.items()


def _by_fault(verdict: ClusterVerdict) -> Iterator[tuple[NodeFault, list[str]]]:
    """Faults with the nodes that have the very same; errors first."""
    alike: dict[NodeFault, list[str]] = {}
    for node, faults in verdict.faults.items():
        for fault in faults:
            alike.setdefault(fault, []).append(node)
    yield from sorted(alike.items(), key=lambda item: item[0].severity)


def _line(console: Console, severity: Severity, text: str) -> None:
    console.print(_MARKS[severity][0 if unicode_ok() else 1], style=_COLOURS[severity], end=" ", markup=False)
    console.print(text, markup=False)


def _group(group: Group, console: Console) -> None:
    console.print(f"{fold(group.nodes)} ({len(group.nodes)})", style="bold", markup=False)
    for name in _SHOWN:
        value = group.aspects.get(name)
        if value is not None:
            console.print(f"  {ASPECTS[name].words}: {worded(value)}", markup=False)
    for finding in group.findings:
        severity: Severity = "error" if finding["severity"] == "error" else "warning"
        console.print("  ", end="")
        _line(console, severity, f"[{finding['id']}] {finding['title']}")
        console.print(f"      {finding['remedy']['text']}", markup=False, style="dim")


def _summary(verdict: ClusterVerdict) -> str:
    answered = sum(len(group.nodes) for group in verdict.groups)
    total = len(verdict.expected)
    kinds = "all alike" if len(verdict.groups) == 1 else f"{len(verdict.groups)} kinds"
    state = "they would work together" if verdict.ok else "they would not work together"
    if not answered:
        return f"none of {total} nodes answered ({verdict.seconds:.1f} s)"
    return f"{answered} of {total} nodes answered, {kinds}: {state} ({verdict.seconds:.1f} s)"
