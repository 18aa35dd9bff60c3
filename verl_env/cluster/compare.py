"""What differs between groups of nodes: the largest is what the others are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verl_env.cluster.aspects import aspect, order, worded
from verl_env.cluster.model import ClusterVerdict, Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verl_env.cluster.launcher import Heard
    from verl_env.cluster.model import Group, Severity

_ABSENT = object()


def judge(heard: Heard, *, otherwise: str, seconds: float = 0.0) -> ClusterVerdict:
    """The verdict on what was heard; for ``otherwise`` see ``Gathering.missing``."""
    gathering = heard.gathering
    groups = gathering.groups()
    strangers = [f"{name} answered and was not expected" for name in sorted(gathering.strangers)]
    return ClusterVerdict(
        expected=gathering.expected,
        missing=gathering.missing(heard.reasons, otherwise=otherwise),
        groups=groups,
        differences=tuple(differences(groups)),
        faults={node: answer.faults for node, answer in gathering.answers.items() if answer.faults},
        notes=(*heard.notes, *strangers),
        seconds=seconds,
    )


def differences(groups: Sequence[Group]) -> Iterator[Difference]:
    """How each group differs from the largest, aspect by aspect; nodes with the same difference are named together."""
    if not groups:
        return
    usual, *odd = groups
    alike: dict[tuple[str, Severity, str, str], list[str]] = {}
    for group in odd:
        for name, severity, have, others in (*_unlike(group, usual), *_found(group, usual)):
            alike.setdefault((name, severity, have, others), []).extend(group.nodes)
    for (name, severity, have, others), nodes in sorted(alike.items(), key=lambda item: _rank(*item[0][:2])):
        yield Difference(tuple(nodes), name, severity, have, others)


def _unlike(group: Group, usual: Group) -> Iterator[tuple[str, Severity, str, str]]:
    for name in dict.fromkeys((*usual.aspects, *group.aspects)):
        have, others = group.aspects.get(name, _ABSENT), usual.aspects.get(name, _ABSENT)
        if have == others:
            continue
        if isinstance(have, dict) and isinstance(others, dict):
            have, others = _only_unlike(have, others)
        yield name, aspect(name).severity, _said(have), _said(others)


def _found(group: Group, usual: Group) -> Iterator[tuple[str, Severity, str, str]]:
    """Findings of the doctor that only one side has."""
    mine = {finding["id"]: finding for finding in group.findings}
    theirs = {finding["id"]: finding for finding in usual.findings}
    for name in mine.keys() - theirs.keys():
        severity: Severity = "error" if mine[name]["severity"] == "error" else "warning"
        yield f"doctor: {name}", severity, str(mine[name].get("title", name)), "not found"
    for name in theirs.keys() - mine.keys():
        yield f"doctor: {name}", "warning", "not found", str(theirs[name].get("title", name))


def _only_unlike(have: dict[str, Any], others: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    unlike = [key for key in dict.fromkeys((*others, *have)) if have.get(key, _ABSENT) != others.get(key, _ABSENT)]
    return {key: have.get(key) for key in unlike}, {key: others.get(key) for key in unlike}


def _said(value: Any) -> str:
    return "unknown" if value is _ABSENT else worded(value)


def _rank(name: str, severity: Severity) -> tuple[bool, int]:
    return severity != "error", order(name)
