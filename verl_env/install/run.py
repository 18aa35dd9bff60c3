"""Carries out a plan: all or nothing. What has nothing to do loads nothing it does not need."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from verl_env.environment.known.registry import register
from verl_env.errors import VerlEnvError
from verl_env.install.inspect import inspect
from verl_env.plans.model import InstallOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.builds.tools import Tools
    from verl_env.environment.target import Target
    from verl_env.installers.options import Options
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan
    from verl_env.plans.reporter import Reporter


def install(
    plan: Plan, target: Target, options: Options, reporter: Reporter, seen: Inspection | None = None
) -> InstallOutcome:
    """Makes an environment, brings one up to a plan, or finds that there is nothing to do.

    The old environment stays in force until the new one is complete and checked; whatever fails, it stays.

    Args:
        plan: What to make.
        target: Where.
        options: How.
        reporter: Who is told.
        seen: What is there now, where the caller has looked already.

    Raises:
        VerlEnvError: something is missing or failed; the subclass says what. Nothing was put in force.
        KeyboardInterrupt: the user interrupted; nothing was put in force.
    """
    started = time.monotonic()
    seen = inspect(plan, target, options) if seen is None else seen
    if seen.complete:
        _tidy_if_idle(target)
        return _nothing_to_do(plan, target, seen, started)
    from verl_env.installers.alone import wheelhouse_alone  # noqa: PLC0415 (only what changes something needs these)

    with wheelhouse_alone(options):
        return _carry_out(plan, target, options, reporter, seen, started)


def _carry_out(
    plan: Plan, target: Target, options: Options, reporter: Reporter, seen: Inspection, started: float
) -> InstallOutcome:
    from verl_env.environment.change import change  # noqa: PLC0415
    from verl_env.install.transaction import Transaction  # noqa: PLC0415

    tools = _prepare(plan, target, options, seen, reporter)
    command = f"install --stack {plan.stack} --lockset {plan.lockset.id}"
    with change(target, command, waiting=reporter.note, seconds=options.lock_seconds) as new:
        seen = inspect(plan, target, options)
        if seen.complete:
            return _nothing_to_do(plan, target, seen, started)
        made = Transaction(plan, new, options, reporter, seen, tools).run()
    changes = tuple(change for change in seen.changes if change.name not in made.left_out)
    missing = left_out(plan, made.left_out)
    ways = {name: way.way for name, way in made.taken.items()}
    seconds = time.monotonic() - started
    return InstallOutcome(target.path, True, changes, missing, made.checks, made.skipped, seconds, ways)


def left_out(plan: Plan, unavailable: Mapping[str, str]) -> dict[str, str]:
    """The reason for each native component that is not in an environment: planned so, or not to be had."""
    return {choice.name: choice.reason for choice in plan.natives if choice.how == "skip"} | dict(unavailable)


def _nothing_to_do(plan: Plan, target: Target, seen: Inspection, started: float) -> InstallOutcome:
    register(target.path)
    state = seen.state
    missing = left_out(plan, {} if state is None else state.left_out)
    checks = () if state is None else state.checks
    ways = {} if state is None else state.ways
    return InstallOutcome(target.path, False, (), missing, checks, seconds=time.monotonic() - started, ways=ways)


def _prepare(plan: Plan, target: Target, options: Options, seen: Inspection, reporter: Reporter) -> Tools:
    """The tools for a plan; where there is no room, the generation before the one in force makes some."""
    from verl_env.environment.change import forget_previous  # noqa: PLC0415
    from verl_env.environment.errors import DiskFullError  # noqa: PLC0415
    from verl_env.install.prepare import prepare  # noqa: PLC0415

    try:
        return prepare(plan, target, options, seen)
    except DiskFullError:
        if not forget_previous(target):
            raise
    reporter.warn("to make room, what the environment was before its last change is removed: no rollback goes there")
    return prepare(plan, target, options, seen)


def _tidy_if_idle(target: Target) -> None:
    """Removes what a dead run left beside a finished environment, unless another run is at work."""
    if not target.leftovers() and not target.journal.exists():
        return
    from verl_env.environment.change import held  # noqa: PLC0415

    with contextlib.suppress(VerlEnvError), held(target, seconds=0, waiting=lambda _: None):
        pass
