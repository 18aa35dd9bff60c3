"""Root causes first: which finding of a diagnosis explains which other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.doctor.model import Finding


def linked(findings: Sequence[Finding], explains: Mapping[str, Sequence[str]]) -> tuple[Finding, ...]:
    """The findings, each with those of the same diagnosis that it causes.

    A link that would close a circle is left out, so that every finding hangs below some root. Information is nobody's
    consequence: it is there with or without the failure.
    """
    present = {finding.id for finding in findings if finding.severity != "info"}
    links: dict[str, list[str]] = {finding.id: [] for finding in findings}
    for finding in findings:
        for consequence in explains.get(finding.id, ()):
            if consequence in present and not _reaches(links, consequence, finding.id):
                links[finding.id].append(consequence)
    return tuple(replace(finding, explains=tuple(links[finding.id])) for finding in findings)


def _reaches(links: Mapping[str, Sequence[str]], start: str, goal: str) -> bool:
    """Whether one finding leads to another along the links."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        here = ahead.pop()
        if here == goal:
            return True
        if here not in seen:
            seen.add(here)
            ahead.extend(links[here])
    return False
