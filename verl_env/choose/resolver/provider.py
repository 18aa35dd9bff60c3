"""What resolvelib asks of the problem."""

from __future__ import annotations

from resolvelib import AbstractProvider, BaseReporter

from verl_env.choose.resolver.facts import met
from verl_env.choose.resolver.model import (
    ENVIRONMENT,
    AcceptedRange,
    Beside,
    ComponentCandidate,
    ComponentRequirement,
    Environment,
    EnvironmentRequirement,
    Fact,
    FactSetting,
    Need,
    PinnedDistribution,
    RequestedPackage,
)
from verl_env.choose.resolver.ranges import goes, is_let_in
from verl_env.choose.specifiers import allows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from resolvelib.resolvers.criterion import Criterion
    from resolvelib.structs import RequirementInformation

    from verl_env.choose.resolver.model import Candidate, Requirement

    Informed = RequirementInformation[Requirement, Candidate]


class Provider(AbstractProvider["Requirement", "Candidate", str]):
    """Environments in their order, the ways of each component in theirs, and facts with one candidate each.

    The environment is decided first, so that the first solution is in the best environment that has one. In it
    each component comes, in the order of what is wanted, in its first way that goes with those before it; where there
    is none the resolver goes back. Each way asks it of all others, so that nothing decided has to be decided anew.

    Args:
        environments: The candidates, the preferred first.
        machine: The facts of the machine; every other fact is set by an environment.
        ways: The ways of a want, the same objects each time.
        requirements: What an environment requires: the facts that it sets, components, wishes.
        locked: The version of an ordinary package in an environment's lock, or None.
    """

    def __init__(
        self,
        environments: Sequence[Environment],
        machine: Mapping[str, Fact],
        ways: Callable[[ComponentRequirement], Sequence[ComponentCandidate]],
        requirements: Callable[[Environment], Sequence[Requirement]],
        locked: Callable[[Environment, str], str | None],
    ) -> None:
        self._environments = environments
        self._machine = machine
        self._ways = ways
        self._requirements = requirements
        self._locked = locked
        self._known: dict[int, Fact | PinnedDistribution] = {}
        self._required: dict[int, Sequence[Requirement]] = {}

    def identify(self, requirement_or_candidate: Requirement | Candidate) -> str:
        """Its name."""
        return requirement_or_candidate.name

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],  # noqa: ARG002  resolvelib names it
        candidates: Mapping[str, Iterator[Candidate]],  # noqa: ARG002  resolvelib names it
        information: Mapping[str, Iterator[Informed]],  # noqa: ARG002  resolvelib names it
        backtrack_causes: Sequence[Informed],  # noqa: ARG002  resolvelib names it
    ) -> tuple[bool, bool]:
        """The environment, then components in their order; facts, of which there is one each, last."""
        return identifier != ENVIRONMENT, identifier.startswith("<")

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Requirement]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> list[Candidate]:
        """The candidates of that name that every requirement allows and that no conflict has ruled out."""
        asked = list(requirements[identifier])
        ruled_out = set(map(id, incompatibilities[identifier]))
        return [
            candidate
            for candidate in self._candidates(identifier, asked)
            if id(candidate) not in ruled_out
            and all(self.is_satisfied_by(requirement, candidate) for requirement in asked)
        ]

    def is_satisfied_by(self, requirement: Requirement, candidate: Candidate) -> bool:
        """Whether a candidate is what a requirement asks for; what is not known does not rule it out."""
        if isinstance(requirement, Need):
            return isinstance(candidate, Fact) and met(requirement, candidate.value) is not False
        if isinstance(requirement, ComponentRequirement):
            return isinstance(candidate, ComponentCandidate) and self._is_wanted(requirement, candidate)
        if isinstance(requirement, Beside):
            return self._goes(requirement, candidate)
        if isinstance(requirement, AcceptedRange):
            return is_let_in(requirement, candidate)
        if isinstance(requirement, RequestedPackage):
            return isinstance(candidate, PinnedDistribution) and (
                candidate.version is None or allows(requirement.specifier, candidate.version)
            )
        return isinstance(requirement, EnvironmentRequirement) or (
            isinstance(candidate, Fact) and candidate.value == requirement.value
        )

    def get_dependencies(self, candidate: Candidate) -> Iterable[Requirement]:
        """What a candidate requires."""
        if not isinstance(candidate, Environment | ComponentCandidate):
            return ()
        if id(candidate) not in self._required:
            self._required[id(candidate)] = (
                self._requirements(candidate)
                if isinstance(candidate, Environment)
                else (*candidate.needs, *candidate.after, *(Beside(name, candidate) for name in candidate.related))
            )
        return self._required[id(candidate)]

    def _candidates(self, identifier: str, asked: Sequence[Requirement]) -> Iterable[Candidate]:
        if identifier == ENVIRONMENT:
            return self._environments
        wants = [each for each in asked if isinstance(each, ComponentRequirement)]
        if wants:
            return self._ways(next((want for want in wants if want.optional), wants[0]))
        if identifier in self._machine:
            return (self._machine[identifier],)
        return [
            self._sole(each)
            for each in asked
            if isinstance(each, FactSetting | RequestedPackage | AcceptedRange | Beside)
        ]

    def _sole(self, requirement: FactSetting | RequestedPackage | AcceptedRange | Beside) -> Fact | PinnedDistribution:
        """The one candidate that a requirement of an environment has, the same object each time."""
        if id(requirement) not in self._known:
            known: Fact | PinnedDistribution = (
                Fact(requirement.name, requirement.value)
                if isinstance(requirement, FactSetting)
                else PinnedDistribution(requirement.name, self._locked(requirement.environment, requirement.name))
            )
            self._known[id(requirement)] = known
        return self._known[id(requirement)]

    @staticmethod
    def _goes(requirement: Beside, candidate: Candidate) -> bool:
        if isinstance(candidate, ComponentCandidate):
            return goes(candidate, (requirement.way,))
        return all(is_let_in(each, candidate) for each in requirement.way.takes if each.name == requirement.name)

    @staticmethod
    def _is_wanted(want: ComponentRequirement, way: ComponentCandidate) -> bool:
        if way.environment is not want.environment or (way.how == "skip" and not want.optional):
            return False
        return want.version in (None, way.version, way.instead_of) and allows(want.specifier, way.version)


class Record(BaseReporter["Requirement", "Candidate", str]):
    """Keeps the environments that had a conflict, in order."""

    def __init__(self) -> None:
        self._conflicts: dict[int, Environment] = {}
        self._pairs: dict[int, dict[tuple[str, str, str], Beside]] = {}

    def given_up(self, chosen: Environment | None) -> tuple[Environment, ...]:
        """The environments that were tried before the one that was chosen."""
        return tuple(environment for environment in self._conflicts.values() if environment is not chosen)

    def pairs(self, environment: Environment) -> tuple[Beside, ...]:
        """What components of an environment had a conflict over with each other."""
        return tuple(self._pairs.get(id(environment), {}).values())

    def resolving_conflicts(self, causes: Collection[Informed]) -> None:
        """Notes the environment of ways that conflict."""
        for cause in causes:
            if isinstance(cause.parent, ComponentCandidate):
                self._note(cause.parent.environment)
            self._note_pair(cause)

    def rejecting_candidate(
        self,
        criterion: Criterion[Requirement, Candidate],
        candidate: Candidate,
    ) -> None:
        """Notes an environment of which a requirement has no candidate at all, and pairs that rule a way out."""
        for information in criterion.information:
            self._note_pair(information)
        if isinstance(candidate, Environment):
            self._note(candidate)

    def _note_pair(self, cause: Informed) -> None:
        if isinstance(cause.requirement, Beside):
            way = cause.requirement.way
            pairs = self._pairs.setdefault(id(way.environment), {})
            pairs.setdefault((way.name, way.version, cause.requirement.name), cause.requirement)

    def _note(self, environment: Environment) -> None:
        self._conflicts.setdefault(id(environment), environment)
