"""The chooser: every lockset against the machine, and the first in order that nothing refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.asked import extra_components, names, was_installed
from verl_env.choose.compare import release, release_matches
from verl_env.choose.errors import (
    LocksetAmbiguousError,
    LocksetUnknownError,
    StackUnavailableError,
    StackUnknownError,
    VerlUnavailableError,
)
from verl_env.choose.facts import facts_of
from verl_env.choose.model import Choice, Evaluation
from verl_env.choose.pythons import choose_python
from verl_env.choose.requirements import verdicts
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verl_env.choose.facts import Facts
    from verl_env.choose.model import Refusal, Request
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Machine


def evaluate(lockset: Lockset, machine: Machine, request: Request) -> Evaluation:
    """Every verdict on one lockset."""
    return _evaluate(lockset, facts_of(machine), request)


def evaluate_all(locksets: Iterable[Lockset], machine: Machine, request: Request) -> tuple[Evaluation, ...]:
    """Every verdict on every lockset, in the order of choice; what comes first and fits is what ``choose`` takes."""
    return _evaluate_all(locksets, facts_of(machine), request)


def choose(locksets: Iterable[Lockset], machine: Machine, request: Request) -> Choice | Refusal:
    """The lockset for a machine and a request, or the refusal of every one.

    The first that fits in the order of ``ranked`` wins. A lockset for an accelerator that the machine is known to have
    goes before one for which that is not stated.

    Raises:
        StackUnknownError: a component that no lockset knows.
        StackUnavailableError: components that no lockset provides together.
        LocksetUnknownError: ``request.lockset`` names none.
        LocksetAmbiguousError: ``request.lockset`` names several.
        VerlUnavailableError: no lockset is for ``request.verl``.
    """
    every = tuple(locksets)
    asked = checked(every, request)
    facts = facts_of(machine)
    evaluations = _evaluate_all(every, facts, asked)
    best = next((evaluation for evaluation in evaluations if evaluation.fits), None)
    if best is None:
        from verl_env.choose.nearest import refusal  # noqa: PLC0415  a millisecond that an answer does not need

        return refusal(evaluations, facts, asked)
    return _choice(best, evaluations, facts, asked)


def ranked(evaluations: Iterable[Evaluation], request: Request) -> tuple[Evaluation, ...]:
    """Evaluations in the order of choice, whatever order they come in.

    What was installed and checked for the Python asked for goes before what was only locked, then the newest family
    of verl, then the fewest components beyond those asked for, then the declared order.
    """
    order = sorted(
        evaluations, key=lambda each: (extra_components(each.lockset, request), each.lockset.order, each.lockset.id)
    )
    order.sort(key=lambda each: release(each.lockset.family), reverse=True)
    order.sort(key=lambda each: not was_installed(each.lockset, request))
    order.sort(key=_doubtful)
    return tuple(order)


def checked(locksets: Sequence[Lockset], request: Request) -> Request:
    """The request with the full id of its lockset, after a check that the locksets can answer it at all.

    Raises:
        VerlEnvError: as in ``choose``.
    """
    known = sorted({component for lockset in locksets for component in lockset.provides})
    for component in request.stack:
        if component not in known:
            raise StackUnknownError(component, known)
    if request.stack and not any(set(request.stack) <= set(lockset.provides) for lockset in locksets):
        raise StackUnavailableError(request.stack, _nearest_stacks(locksets, request.stack))
    if request.verl is not None and not any(release_matches(lockset.verl, request.verl) for lockset in locksets):
        releases = sorted({lockset.verl for lockset in locksets}, key=release, reverse=True)
        raise VerlUnavailableError(request.verl, releases)
    if request.lockset is None:
        return request
    return replace(request, lockset=full_id([lockset.id for lockset in locksets], request.lockset))


def full_id(ids: Iterable[str], asked: str) -> str:
    """The one lockset id that a text means: the id itself, else its last part, else any end of it.

    Raises:
        LocksetUnknownError: it means none.
        LocksetAmbiguousError: it means several.
    """
    every = sorted(ids)
    if asked in every:
        return asked
    matches = [id_ for id_ in every if names(id_, asked)] or [id_ for id_ in every if id_.endswith(asked)]
    if not matches:
        raise LocksetUnknownError(asked, every)
    if len(matches) > 1:
        raise LocksetAmbiguousError(asked, matches)
    return matches[0]


def _evaluate(lockset: Lockset, facts: Facts, request: Request) -> Evaluation:
    return Evaluation(lockset, tuple(verdicts(lockset, facts, request)))


def _evaluate_all(locksets: Iterable[Lockset], facts: Facts, request: Request) -> tuple[Evaluation, ...]:
    return ranked((_evaluate(lockset, facts, request) for lockset in locksets), request)


def _choice(best: Evaluation, evaluations: Sequence[Evaluation], facts: Facts, request: Request) -> Choice:
    python, interpreter = choose_python(best.lockset, facts, request)
    doubts = [verdict.message for verdict in best.verdicts if verdict.outcome in ("warned", "unknown")]
    problems = [problem.message for problem in facts.machine.problems]
    return Choice(
        lockset=best.lockset,
        python=python or "",
        interpreter=interpreter,
        warnings=tuple(dict.fromkeys(doubts + problems)),
        evaluation=best,
        others=tuple(evaluation for evaluation in evaluations if evaluation is not best),
    )


def _doubtful(evaluation: Evaluation) -> bool:
    return any(
        verdict.requirement == "accelerator" and verdict.outcome in ("warned", "unknown")
        for verdict in evaluation.verdicts
    )


def _nearest_stacks(locksets: Sequence[Lockset], stack: Sequence[str]) -> list[tuple[str, ...]]:
    """The largest parts of a stack that some lockset provides."""
    parts = {tuple(part for part in stack if part in lockset.provides) for lockset in locksets}
    largest = max(map(len, parts), default=0)
    return sorted(part for part in parts if len(part) == largest)
