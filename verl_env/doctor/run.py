"""Evaluates checks on facts: each below a deadline, a crash becomes a skip, the rest go on."""

from __future__ import annotations

import queue
import re
import threading
import time
from typing import TYPE_CHECKING

from verl_env.doctor.amd import for_amd
from verl_env.doctor.link import linked
from verl_env.doctor.literals import may_match
from verl_env.doctor.model import SEVERITIES, Diagnosis, Finding, Hit, Skipped
from verl_env.doctor.restore import for_lockset
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verl_env.doctor.check import Check
    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Basis, Severity

#: Seconds that one check may take; a cold network file system is the reason that it is not less.
CHECK_DEADLINE = 60.0
#: Seconds that all checks together may take.
DEADLINE = 300.0

_LINE_LIMIT = 240


def diagnose(
    facts: Facts, checks: Sequence[Check], *, check_deadline: float = CHECK_DEADLINE, deadline: float = DEADLINE
) -> Diagnosis:
    """Runs every check and links the findings.

    Returns:
        The diagnosis, roots of the same severity in the order of the checks.
    """
    started = time.monotonic()
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    worker = _Worker(facts)
    for check in checks:
        left = min(check_deadline, started + deadline - time.monotonic())
        outcome = worker.ask(check, left)
        if isinstance(outcome, _TooLong):
            skipped.append(Skipped(check.id, f"took longer than {max(left, 0):.0f} s"))
            worker = _Worker(facts)
        elif isinstance(outcome, Exception):
            skipped.append(Skipped(check.id, f"{type(outcome).__name__}: {outcome}"))
        elif outcome is not None:
            findings.append(outcome)
    general = frozenset(check.id for check in checks if check.general)
    findings = _named_first(findings, general)
    explains = {check.id: check.explains for check in checks}
    return Diagnosis(
        linked(findings, explains, general), tuple(skipped), seconds=time.monotonic() - started, checked=len(checks)
    )


def _named_first(findings: Sequence[Finding], general: frozenset[str]) -> list[Finding]:
    """Findings by severity, those of families last.

    None of a family is kept for a line that a named check explains, unless that only warns of what failed.
    """
    named: dict[str, int] = {}
    for one in findings:
        for line in one.evidence if one.id not in general else ():
            if line.startswith("log: "):
                named[line] = min(named.get(line, len(SEVERITIES)), SEVERITIES.index(one.severity))

    def told(one: Finding) -> bool:
        level = SEVERITIES.index(one.severity)
        return one.id in general and one.basis == "log" and any(named.get(line, 9) <= level for line in one.evidence)

    kept = [one for one in findings if not told(one)]
    return sorted(kept, key=lambda one: (SEVERITIES.index(one.severity), one.id in general))


def evaluate(check: Check, facts: Facts) -> Finding | None:
    """What one check finds in facts and in the log.

    Raises:
        Exception: whatever the check raises.
    """
    by_facts = check.find(facts) if check.find else None
    by_log = _log_hit(check, facts) if facts.log and check.log else None
    if by_facts and by_log:
        extra = tuple(line for line in by_log.evidence if line not in by_facts.evidence)
        severity = _graver(by_facts.severity or check.severity, by_log.severity or check.severity)
        both = replace(by_facts, severity=severity)
        return _finding(check, facts, both, (*by_facts.evidence, *extra), "both")
    if by_facts:
        return _finding(check, facts, by_facts, by_facts.evidence, "facts")
    return _finding(check, facts, by_log, by_log.evidence, "log") if by_log else None


def matching_line(match: re.Match[str]) -> str:
    """The line of a log that a match is in, or the first and the last of them, shortened."""
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    lines = text[start : end if end >= 0 else len(text)].strip().split("\n")
    line = lines[0] if len(lines) == 1 else f"{lines[0].strip()} ... {lines[-1].strip()}"
    return line if len(line) <= _LINE_LIMIT else line[:_LINE_LIMIT] + "..."


def _graver(left: Severity, right: Severity) -> Severity:
    """The more severe of two; what happened outweighs what only might."""
    return min(left, right, key=SEVERITIES.index)


def _log_hit(check: Check, facts: Facts) -> Hit | None:
    """The first match of the check's patterns that it accepts."""
    for pattern in check.log:
        if not may_match(pattern, facts.log):
            continue
        for match in re.finditer(pattern, facts.log, re.MULTILINE):
            hit = check.from_log(facts, match) if check.from_log else Hit(())
            if hit is not None:
                line = f"log: {matching_line(match)}"
                evidence = hit.evidence if line in hit.evidence else (line, *hit.evidence)
                return Hit(evidence, hit.title, hit.cause, hit.remedy, hit.severity, hit.covers)
    return None


def _finding(check: Check, facts: Facts, hit: Hit, evidence: Iterable[str], basis: Basis) -> Finding:
    default = check.remedy(facts) if callable(check.remedy) else check.remedy
    modes = check.covers if hit.covers is None else hit.covers
    return Finding(
        id=check.id,
        theme=check.theme,
        severity=hit.severity or check.severity,
        title=hit.title or check.title,
        evidence=tuple(evidence),
        cause=hit.cause or check.cause,
        remedy=for_amd(for_lockset(hit.remedy or default, facts), facts),
        references=(*(f"failures:{mode}" for mode in modes), *check.sources),
        basis=basis,
        sources=check.sources,
        read=check.read,
    )


class _TooLong:
    """The answer of a check that passed its deadline."""


class _Worker:
    """A thread that evaluates checks; one that hangs in the kernel is left behind, as nothing can end it."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._checks: queue.SimpleQueue[Check] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Finding | Exception | None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def ask(self, check: Check, seconds: float) -> Finding | Exception | _TooLong | None:
        if seconds <= 0:
            return _TooLong()
        self._checks.put(check)
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return _TooLong()

    def _serve(self) -> None:
        while True:
            check = self._checks.get()
            try:
                self._answers.put(evaluate(check, self._facts))
            except Exception as error:  # noqa: BLE001  a crash of one check must not end the others
                self._answers.put(error)
