"""``--fix``: runs the remedies that are safe and reversible, and keeps what mends.

A fix is made in a new generation beside the environment in force, and diagnosed there: what it must not have is the
finding that was to be mended, and any error that was not there before. Only then is it put in force.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from verl_env.errors import VerlEnvError
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Diagnosis, Finding, Fix
    from verl_env.environment.change import NewGeneration
    from verl_env.environment.state import State
    from verl_env.installers.options import Options
    from verl_env.plans.reporter import Reporter


@record
class FixStep:
    """One fix that would run: the finding that it mends and its commands."""

    finding: Finding
    fix: Fix
    commands: tuple[str, ...]


@record
class Means:
    """With what an installation is done: its options, and who is told of it."""

    options: Options
    reporter: Reporter


@record
class FixOutcome:
    """What came of a fix; ``detail`` says why it failed or was taken back."""

    finding: str
    state: Literal["mended", "taken-back", "failed"]
    detail: str = ""


def steps(diagnosis: Diagnosis) -> tuple[FixStep, ...]:
    """The fixes of the roots of a diagnosis that may run by themselves."""
    return tuple(
        FixStep(root, root.remedy.fix, root.remedy.commands)
        for root in diagnosis.roots
        if root.remedy.fix is not None and not root.remedy.fix.build and root.severity != "info"
    )


def apply(
    step: FixStep,
    facts: Facts,
    before: Diagnosis,
    again: Callable[[Path], Diagnosis],
    waiting: Callable[[str], None] = lambda _: None,
    means: Means | None = None,
) -> FixOutcome:
    """Runs one fix and puts its result in force only where it mends.

    Args:
        step: The fix.
        facts: The facts of the environment, for its place.
        before: The diagnosis that asked for the fix.
        again: Diagnoses the environment as it would be, at the place where it is made.
        waiting: Is told whom it waits for.
        means: With what packages of a lockset are brought back; a fix that brings none back needs none.

    Raises:
        ValueError: the facts are those of a report, without an environment, or the means are missing.
        EnvironmentForeignError: it is the system's own.
        EnvironmentUnchangeableError: it cannot be changed as a whole.
        EnvironmentLockedError: another run is changing it.
    """
    from verl_env.environment.change import change, changeable  # noqa: PLC0415  --fix alone needs it

    if facts.target is None:
        raise ValueError(step.finding.id)
    with change(changeable(facts.target.prefix), f"doctor --fix ({step.finding.id})", waiting=waiting) as new:
        try:
            state, pins = _restore(step, new, facts, means) if step.fix.restore else (None, None)
        except VerlEnvError as error:
            return FixOutcome(step.finding.id, "failed", error.message)
        failure = None if step.fix.restore else _carry_out(step.fix, new)
        if failure is not None:
            return FixOutcome(step.finding.id, "failed", failure)
        worse = _worse(step.finding.id, before, again(new.path))
        if worse is not None:
            return FixOutcome(step.finding.id, "taken-back", worse)
        new.commit(state, pins)
    return FixOutcome(step.finding.id, "mended")


def _restore(
    step: FixStep, new: NewGeneration, facts: Facts, means: Means | None
) -> tuple[State | None, dict[str, str] | None]:
    """Makes a new generation with what the lockset has; its record and its pins."""
    from verl_env.install.alter.restore import restore_packages  # noqa: PLC0415

    if means is None:
        raise ValueError(step.finding.id)
    with_what = (means.options, facts.machine, means.reporter)
    fix = step.fix
    return restore_packages(new, fix.restore, with_what, others=fix.install, gone=fix.uninstall)


def _carry_out(fix: Fix, new: NewGeneration) -> str | None:
    """Makes a new generation with a fix; returns why it failed, or None."""
    from verl_env.additions.replace import replace_packages  # noqa: PLC0415
    from verl_env.patches.change import renew  # noqa: PLC0415

    try:
        if fix.runtime:
            renew(new.target.path, new)
            return None
        replace_packages(new, fix.install, gone=fix.uninstall, dependencies=fix.deps)
    except VerlEnvError as error:
        return error.message
    return None


def _worse(mended: str, before: Diagnosis, after: Diagnosis) -> str | None:
    """What the new state must not have: the finding that was mended, or an error that was not there."""
    known = {finding.id for finding in before.findings}
    there = {finding.id for finding in after.findings if finding.id == mended and finding.severity != "info"}
    fresh = [finding for finding in after.findings if finding.severity == "error" and finding.id not in known]
    if there:
        return "the finding is still there"
    return f"a new error: {fresh[0].title}" if fresh else None
