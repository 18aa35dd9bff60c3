"""What a report shows and no check explains: the failing line, whose it is, what is known, and what comes nearest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.compile_checks import rows
from verl_env.doctor.ingest.failures import failures
from verl_env.doctor.model import Unrecognised
from verl_env.doctor.releases.known import known_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verl_env.doctor.check import Check
    from verl_env.doctor.facts import Facts
    from verl_env.doctor.ingest.failures import Failure
    from verl_env.doctor.model import Finding

_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{3,}")
_COMMON = frozenset(
    "error failed file line from with that this have module import runtimeerror exception cannot could".split()  # noqa: SIM905
)
_NEAREST, _LEAST_SHARED = 2, 2


def unexplained(facts: Facts, findings: Sequence[Finding], checks: Sequence[Check]) -> tuple[Unrecognised, ...]:
    """The failures of a report's text that no finding explains.

    A finding that the text itself led to, or that explains others, accounts for the failures of the text: what follows
    a root is its echo. The echo alone (a worker that died) accounts for nothing but itself. A person's words alone
    ("does not start") are accounted for by any error of the facts.
    """
    seen = failures(facts.log) if facts.log else ()
    errors = [finding for finding in findings if finding.severity == "error"]
    if not seen or any(finding.basis != "facts" and finding.id not in _echoes() for finding in errors):
        return ()
    if shown := {line for finding in errors if finding.basis != "facts" for line in finding.evidence}:
        seen = tuple(one for one in seen if not (one.late or any(one.line in line for line in shown)))
        return tuple(_told(one, facts, checks) for one in seen)
    if errors and (all(one.told for one in seen) or _about(errors, seen)):
        return ()
    return tuple(_told(one, facts, checks) for one in seen)


def _echoes() -> frozenset[str]:
    """Families whose lines come last: what saw another process die."""
    return frozenset(name for name, row in rows().items() if row.get("late", 0) > 1)


def _about(errors: Sequence[Finding], seen: Sequence[Failure]) -> bool:
    """Whether errors of the facts are about what fails: they name the package or the words of its message."""
    words = {
        word.lower()
        for finding in errors
        for text in (*finding.evidence, finding.title)
        for word in _WORD.findall(text)
    }
    return any((one.package or "") in words or len(words & _words(one.line)) >= _LEAST_SHARED for one in seen)


def _told(one: Failure, facts: Facts, checks: Sequence[Check]) -> Unrecognised:
    return Unrecognised(one.line, one.package, one.file, known_of(one.package, facts), tuple(_near(one, checks)))


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)} - _COMMON


def _near(one: Failure, checks: Sequence[Check]) -> Iterator[str]:
    """The checks whose texts share the most words with a line."""
    words = _words(f"{one.line} {one.package or ''}")
    shared = {check.id: len(words & _words(" ".join((check.title, check.cause, *check.log)))) for check in checks}
    best = sorted(shared, key=lambda name: -shared[name])
    yield from (name for name in best[:_NEAREST] if shared[name] >= _LEAST_SHARED)
