"""The chooser: every lockset against the machine, and the first in order that nothing refuses."""

from __future__ import annotations

from verl_env.choose.compare import release, release_matches
from verl_env.choose.errors import (
    ChoiceError,
    LocksetAmbiguousError,
    LocksetUnknownError,
    StackUnavailableError,
    StackUnknownError,
    VerlUnavailableError,
)
from verl_env.choose.extra_requirements import arch_of, misspelt, without_effect
from verl_env.choose.facts import facts_of
from verl_env.choose.model import Choice, Evaluation
from verl_env.choose.pythons import interpreter_verdict
from verl_env.choose.request import extra_components, names, was_installed, was_proven
from verl_env.choose.requirements import verdicts
from verl_env.choose.resolver.environments import environments_of
from verl_env.choose.resolver.rejected import passed_over
from verl_env.choose.resolver.resolve import ResolutionProblem, resolve
from verl_env.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from verl_env.choose.extra_requirements import Locks, PackageRequest
    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Refusal, Request
    from verl_env.choose.resolver.resolve import Resolution
    from verl_env.components.model import Catalogue
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Machine


def evaluate(lockset: Lockset, machine: Machine, request: Request) -> Evaluation:
    """Every verdict on one lockset."""
    return _evaluate(lockset, facts_of(machine), request)


def evaluate_all(locksets: Iterable[Lockset], machine: Machine, request: Request) -> tuple[Evaluation, ...]:
    """Every verdict on every lockset, in the order of choice; what comes first and fits is what ``choose`` takes."""
    return _evaluate_all(locksets, facts_of(machine), request)


def choose(
    locksets: Iterable[Lockset],
    machine: Machine,
    request: Request,
    *,
    components: Catalogue | None = None,
    locks: Locks | None = None,
    barred: Callable[[str], str | None] = lambda _: None,
) -> Choice | Refusal:
    """The lockset, the Python and the way of each native component for a machine and a request, or the refusal of all.

    The first that fits in the order of ``ranked`` and can be completed wins: every native component that the stack
    needs can be had there. Where none can, the one wins that lacks least; what a part of the stack stands for it never
    lacks. A lockset for an accelerator that the machine is known to have goes before one for which that is not stated,
    complete or not.

    Args:
        locksets: What there is to choose from.
        machine: What it is for.
        request: What is asked for.
        components: The native components; None for the catalogue that is shipped.
        locks: What is pinned for a lockset and a Python; None for the locks that are shipped. Only wishes need it.
        barred: Why nothing can be had from an address (``model.address_of``); None where nothing is known
            against it.

    Raises:
        StackUnknownError: a component that no lockset knows.
        StackUnavailableError: components that no lockset provides together.
        LocksetUnknownError: ``request.lockset`` names none.
        LocksetAmbiguousError: ``request.lockset`` names several.
        VerlUnavailableError: no lockset is for ``request.verl``.
        WishInvalidError: one of ``request.wishes`` is no requirement.
        NativeUnavailableError: a native component cannot be had, and the request does not allow to leave it out.
    """
    return Chooser(locksets, components, locks, barred).choose(machine, request)


class Chooser:
    """``choose`` for many machines and requests; what would have to change is tried once for all that it stands behind.

    Args and errors as in ``choose``.
    """

    def __init__(
        self,
        locksets: Iterable[Lockset],
        components: Catalogue | None = None,
        locks: Locks | None = None,
        barred: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._barred = barred
        self._locksets = tuple(locksets)
        self._components = components
        self._locks = locks
        self._tried: dict[str, Choice | None] = {}

    def choose(self, machine: Machine, request: Request) -> Choice | Refusal:
        """As the function of that name."""
        try:
            answer, asked = self._decide(machine, request)
        except ChoiceError as error:
            error.take_ways(request, lambda other: self._again(other, machine) is not None)
            raise
        if isinstance(answer, Choice):
            return answer
        from verl_env.choose.nearest import refusal  # noqa: PLC0415  a millisecond that an answer does not need

        return refusal(answer, facts_of(machine), asked, self._again)

    def _decide(self, machine: Machine, request: Request) -> tuple[Choice | tuple[Evaluation, ...], Request]:
        """The choice, or every evaluation where nothing fits; and the request with the full id of its lockset."""
        asked = checked(self._locksets, request)
        facts = facts_of(machine)
        evaluations = _evaluate_all(self._locksets, facts, asked)
        wishes: tuple[PackageRequest, ...] = ()
        if asked.wishes:
            from verl_env.choose.extra_requirements import parse_wishes, shipped_locks, with_wishes  # noqa: PLC0415  only if needed

            wishes, self._locks = parse_wishes(asked.wishes), self._locks or shipped_locks()
            evaluations = with_wishes(evaluations, facts, asked, wishes, self._locks)
        fitting = [evaluation for evaluation in evaluations if evaluation.fits]
        if not fitting:
            return evaluations, asked
        environments = environments_of(_comparable(fitting), facts, asked)
        catalogue = self._components = self._components or _shipped()
        locks = self._locks or _no_locks
        found = resolve(
            ResolutionProblem(environments, facts, asked, wishes, locks, catalogue, evaluations, self._barred)
        )
        effectless = without_effect(wishes, found.environment.python, arch_of(found.environment.lockset, facts))
        doubts = (*misspelt(found.extras, list(catalogue.components)), *effectless)
        return _choice(found, evaluations, facts, doubts), asked

    def _again(self, request: Request, machine: Machine) -> Choice | None:
        """The choice for another request or machine; None where that is refused as well."""
        plain = replace(request, described=())
        key = f"{plain} {replace(machine, sources={})}"  # a record with a mapping has no hash
        if key not in self._tried:
            self._tried[key] = self._try(plain, machine)
        return self._tried[key]

    def _try(self, request: Request, machine: Machine) -> Choice | None:
        asked = tuple(each for each in self._locksets if each.id == request.lockset)
        chooser = Chooser(asked, self._components, self._locks, self._barred) if asked else self
        try:
            answer, _ = chooser._decide(machine, request)  # noqa: SLF001  one of its own
        except ChoiceError:
            return None
        return answer if isinstance(answer, Choice) else None


def ranked(evaluations: Iterable[Evaluation], request: Request) -> tuple[Evaluation, ...]:
    """Evaluations in the order of choice, whatever order they come in.

    What was installed and checked for the Python asked for goes before what was only locked, then the newest family
    of verl, then what was proven, then the fewest components beyond those asked for, then the declared order.
    """
    order = sorted(
        evaluations, key=lambda each: (extra_components(each.lockset, request), each.lockset.order, each.lockset.id)
    )
    order.sort(key=lambda each: not was_proven(each.lockset, request))
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


def _evaluate(lockset: Lockset, facts: MachineFacts, request: Request) -> Evaluation:
    return Evaluation(lockset, tuple(verdicts(lockset, facts, request)))


def _evaluate_all(locksets: Iterable[Lockset], facts: MachineFacts, request: Request) -> tuple[Evaluation, ...]:
    return ranked((_evaluate(lockset, facts, request) for lockset in locksets), request)


def _comparable(fitting: Sequence[Evaluation]) -> list[Lockset]:
    """The locksets that may take the place of the first: for the same accelerator, as surely there as the first's."""
    best = fitting[0]
    return [
        each.lockset
        for each in fitting
        if each.lockset.accelerator == best.lockset.accelerator and _doubtful(each) is _doubtful(best)
    ]


def _no_locks(_: Lockset, __: str) -> dict[str, str]:
    return {}


def _shipped() -> Catalogue:
    from verl_env.components.load import load_catalogue  # noqa: PLC0415  tests bring their own

    return load_catalogue()


def _choice(
    found: Resolution, evaluations: Sequence[Evaluation], facts: MachineFacts, about_wishes: Iterable[str]
) -> Choice:
    environment = found.environment
    best = next(evaluation for evaluation in evaluations if evaluation.lockset is environment.lockset)
    verdict = interpreter_verdict(best.lockset, facts, environment.python, environment.interpreter)
    verdicts = tuple(verdict if each.requirement == "python" else each for each in best.verdicts)
    doubts = [each.message for each in verdicts if each.outcome in ("warned", "unknown")]
    problems = [problem.message for problem in facts.machine.problems]
    return Choice(
        lockset=best.lockset,
        python=environment.python,
        interpreter=environment.interpreter,
        warnings=tuple(dict.fromkeys([*doubts, *problems, *passed_over(found), *about_wishes])),
        evaluation=Evaluation(best.lockset, verdicts),
        others=tuple(evaluation for evaluation in evaluations if evaluation is not best),
        builds=found.builds,
        extras=found.extras,
        passed=found.passed,
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
