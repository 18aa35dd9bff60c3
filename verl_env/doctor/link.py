"""Root causes first: which finding of a diagnosis explains which other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from verl_env.doctor.model import Finding


#: Findings that say of many packages at once what a named failure says of one.
GENERAL = ("requirements-unmet", "lockset-drift")
_WORD = re.compile(r"[A-Za-z0-9][\w.-]*")


def linked(
    findings: Sequence[Finding], explains: Mapping[str, Sequence[str]], families: Collection[str] = ()
) -> tuple[Finding, ...]:
    """The findings, each with those of the same diagnosis that it causes.

    A link that would close a circle is left out, so that every finding hangs below some root. Information is nobody's
    consequence: it is there with or without the failure. What a log says in general (``families``) is the echo of the
    failure that the same log names.
    """
    present = {finding.id for finding in findings if finding.severity != "info"}
    links: dict[str, list[str]] = {finding.id: [] for finding in findings}
    for finding in findings:
        for consequence in explains.get(finding.id, ()):
            if consequence in present and not _reaches(links, consequence, finding.id):
                links[finding.id].append(consequence)
    explained = {consequence for consequences in links.values() for consequence in consequences}
    roots = [finding for finding in findings if finding.id not in explained]
    for general in (finding for finding in findings if finding.id in GENERAL and finding.severity != "info"):
        for root in roots:
            if _covers(root, general) and general.id not in links[root.id]:
                links[root.id].append(general.id)
    _echoes(findings, roots, links, families)
    return tuple(replace(finding, explains=tuple(links[finding.id])) for finding in findings)


def _echoes(
    findings: Sequence[Finding], roots: Sequence[Finding], links: dict[str, list[str]], families: Collection[str]
) -> None:
    """Hangs what a log says in general below the first failure that the same log names."""
    named = [one for one in roots if one.severity == "error" and one.basis != "facts" and one.id not in families]
    below = {consequence for consequences in links.values() for consequence in consequences}
    for echo in findings if named else ():
        if (
            echo.id in families
            and echo.basis == "log"
            and echo.id not in below
            and not _reaches(links, echo.id, named[0].id)
        ):
            links[named[0].id].append(echo.id)


def _covers(finding: Finding, general: Finding) -> bool:
    """Whether a failure is about a package of every line of a general finding.

    Evidence begins with the package that it is about: ``click 8.3.0``, ``vllm wants torch==2.6.0, installed: 2.7.1``.
    """
    if finding.severity == "info" or finding.id in GENERAL:
        return False
    subjects = {match[0].lower() for line in finding.evidence if (match := _WORD.match(line))}
    return all(subjects & {word.lower() for word in _WORD.findall(line)} for line in general.evidence)


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
