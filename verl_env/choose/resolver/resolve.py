"""Lockset, Python and builds together, among the locksets that fit."""

from __future__ import annotations

from verl_env.choose.errors import NativeUnavailableError
from verl_env.choose.extra_requirements import applies, arch_of, checked_for_component, pinned_otherwise
from verl_env.choose.model import Missing, PassedOver, Rejected
from verl_env.choose.resolver.builds import build_of, in_order
from verl_env.choose.resolver.candidates import (
    CandidateSource,
    ComponentCandidates,
    native_of,
    releases_of,
    stood_for,
    wants_of,
)
from verl_env.choose.resolver.environments import settings_of
from verl_env.choose.resolver.examine import Examiner
from verl_env.choose.resolver.facts import machine_facts
from verl_env.choose.resolver.model import (
    ComponentCandidate,
    ComponentRequirement,
    Environment,
    EnvironmentRequirement,
    Fact,
    RequestedPackage,
)
from verl_env.choose.resolver.near import VERL
from verl_env.choose.resolver.ranges import goes, ruled_out, takes_of
from verl_env.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from verl_env.choose.extra_requirements import Locks
    from verl_env.choose.extra_requirements import PackageRequest as Wished
    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Build, Evaluation, Request
    from verl_env.choose.resolver.model import Requirement
    from verl_env.choose.resolver.provider import Record
    from verl_env.components.model import Catalogue

#: Rounds of the resolver: one per environment, fact and component, and some that go back.
ROUNDS = 20_000
#: verl itself imports it when it trains; the others serve a part of the stack, or speed.
FIRST = "flash-attn"


@record
class Resolution:
    """What was decided: the environment, its builds in order, what is installed besides, and what was given up."""

    environment: Environment
    builds: tuple[Build, ...]
    extras: tuple[str, ...]
    passed: tuple[PassedOver, ...]


@record
class ResolutionProblem:
    """Environments in order of preference (at least one), and what each of them must hold.

    ``evaluations`` are those of every lockset, for the error where there is no way; ``barred`` is as in
    ``CandidateSource``.
    """

    environments: tuple[Environment, ...]
    facts: MachineFacts
    request: Request
    wishes: tuple[Wished, ...]
    locks: Locks
    catalogue: Catalogue
    evaluations: tuple[Evaluation, ...] = ()
    barred: Callable[[str], str | None] = lambda _: None


def resolve(problem: ResolutionProblem) -> Resolution:
    """The first environment in which every component can be had; where there is none, the one that lacks least.

    flash-attn counts first, as verl imports it, then how many are left out. With ``--native prebuilt`` and ``build``
    nothing is left out, and a component that the user wished for or that a part of the stack stands for never is.

    Raises:
        NativeUnavailableError: no environment has all that must not be left out.
        WishInvalidError: a wish for a component names an address or extras.
    """
    return _Resolution(problem).run()


class _Resolution:
    def __init__(self, problem: ResolutionProblem) -> None:
        self._problem = problem
        self._mode = problem.request.native
        self._machine = machine_facts(problem.facts)
        asked = tuple(wish.name for wish in problem.wishes)
        self._source = CandidateSource(
            problem.catalogue, self._machine, self._mode, problem.request.stack, asked, problem.barred, self._present
        )
        self._searches: list[Record] = []
        self._beside: dict[int, tuple[str, ...]] = {}
        self._ways = ComponentCandidates(self._source)

    def run(self) -> Resolution:
        first = self._problem.environments[0]
        self._check_wishes()
        if not self._problem.wishes and (self._mode == "skip" or not self._wants(first, optional=False)):
            return self._without_search(first)
        every = self._problem.environments
        found = self._at_once(first) or self._search(every, optional=self._mode == "skip")
        if found is None and self._mode is None:
            found = self._incomplete()
        if found is None:
            passed = tuple(self._passed(each, needed=True) for each in every)
            raise NativeUnavailableError(passed, self._problem.request, self._problem.evaluations)
        return found

    def _present(self, environment: Environment) -> tuple[str, ...]:
        """The components that are wanted in an environment, and those of its lock where wishes make it be read."""
        if id(environment) not in self._beside:
            locked = self._problem.locks(environment.lockset, environment.python) if self._problem.wishes else {}
            known = (name for name in self._problem.catalogue.components if name in locked)
            wanted = (want.name for want in self._wants(environment, optional=True))
            self._beside[id(environment)] = tuple(dict.fromkeys((*wanted, *known)))
        return self._beside[id(environment)]

    def _fixed(self, environment: Environment) -> Iterator[ComponentCandidate]:
        """What an environment has in any case, as ways: verl and the engines, and components of its lock."""
        lockset, present = environment.lockset, self._present(environment)
        for user, version in {VERL: lockset.verl, **lockset.engines}.items():
            takes = takes_of(user, version, environment, self._problem.catalogue, present)
            yield ComponentCandidate(user, version, environment, "prebuilt", takes=tuple(takes))
        locked = self._problem.locks(lockset, environment.python) if self._problem.wishes else {}
        yield from (
            ComponentCandidate(name, locked[name], environment, "prebuilt") for name in present if name in locked
        )

    def _check_wishes(self) -> None:
        for wish in (wish for wish in self._problem.wishes if wish.more):
            if any(self._is_component(wish.name, each) for each in self._problem.environments):
                checked_for_component(wish)

    def _wishes(self, environment: Environment) -> list[Wished]:
        """The wishes that are for an environment, as far as their markers say."""
        arch = arch_of(environment.lockset, self._problem.facts)
        return [wish for wish in self._problem.wishes if applies(wish, environment.python, arch)]

    def _incomplete(self) -> Resolution | None:
        """Where nothing is complete: the environment that lacks least; those before it are passed over."""
        every = self._problem.environments
        found = self._search(sorted(every, key=self._lack), optional=True)
        if found is None:
            return None
        before = every[: every.index(found.environment)]
        return replace(found, passed=tuple(map(self._passed, before)))

    def _lack(self, environment: Environment) -> tuple[bool, int]:
        """How much of what the stack needs cannot be had: flash-attn, then how many components."""
        examiner = self._examiner(environment)
        lacking = [want.name for want in self._wants(environment, optional=False) if not examiner.is_had(want)]
        return FIRST in lacking, len(lacking)

    def _without_search(self, environment: Environment) -> Resolution:
        """Nothing is to be decided: no component is needed, or each is left out on request."""
        wants = self._wants(environment, optional=True)
        ways = tuple(way for want in wants for way in self._ways(want))
        return self._resolution(environment, ways, wants, ())

    def _at_once(self, environment: Environment) -> Resolution | None:
        """What a search would find first where nothing is in the way: the first way that fits of every component.

        None where the first environment lacks something, or where parts or wishes have to be decided together.
        """
        if self._problem.wishes or self._mode == "skip":
            return None
        examiner, wants = self._examiner(environment), self._wants(environment, optional=False)
        fitting = (filter(examiner.fits, (way for way in self._ways(want) if way.how != "skip")) for want in wants)
        ways = (next(each, None) for each in fitting)
        sole = tuple(way for way in ways if way is not None and not way.after)
        if len(sole) < len(wants) or not all(goes(way, sole) for way in sole):
            return None
        return self._resolution(environment, sole, wants, ())

    def _search(self, environments: Sequence[Environment], *, optional: bool) -> Resolution | None:
        """What resolvelib finds, the first environments first; None where nothing meets every requirement."""
        from resolvelib import ResolutionImpossible, Resolver  # noqa: PLC0415  8 ms, for locksets with components

        from verl_env.choose.resolver.provider import Provider, Record  # noqa: PLC0415

        def requirements(environment: Environment) -> Sequence[Requirement]:
            settings = settings_of(environment, self._problem.facts, self._problem.catalogue)
            wants = self._wants(environment, optional=optional)
            taken = (takes for way in self._fixed(environment) for takes in way.takes)
            return (*settings, *wants, *self._ordinary(environment), *taken)

        tried = Record()
        self._searches.append(tried)
        provider = Provider(environments, self._machine, self._ways, requirements, self._locked)
        try:
            pins = Resolver(provider, tried).resolve([EnvironmentRequirement()], max_rounds=ROUNDS).mapping
        except ResolutionImpossible:
            return None
        environment = next(pin for pin in pins.values() if isinstance(pin, Environment))
        ways = tuple(pin for pin in pins.values() if isinstance(pin, ComponentCandidate))
        passed = tuple(map(self._passed, tried.given_up(environment)))
        wants = self._wants(environment, optional=optional)
        return self._resolution(environment, ways, wants, passed)

    def _resolution(
        self,
        environment: Environment,
        ways: Sequence[ComponentCandidate],
        wants: Sequence[ComponentRequirement],
        passed: tuple[PassedOver, ...],
    ) -> Resolution:
        examiner = self._examiner(environment)
        wanted = {want.name: want for way in ways for want in way.after} | {want.name: want for want in wants}
        names = {way.name for way in ways if way.how != "skip"}
        builds = tuple(
            self._build(way, wanted[way.name], examiner, names, (*ways, *self._fixed(environment)))
            for way in in_order(ways, tuple(wants))
        )
        return Resolution(environment, builds, tuple(self._extras(environment)), passed)

    def _build(
        self,
        way: ComponentCandidate,
        want: ComponentRequirement,
        examiner: Examiner,
        present: Container[str],
        chosen: Sequence[ComponentCandidate],
    ) -> Build:
        """A way with the further ones, should it fail; what is left out has none."""
        wished = any(wish.name == way.name for wish in self._problem.wishes)
        beside = [each for each in chosen if each.how != "skip" and each is not way]
        others = () if way.how == "skip" else examiner.others(way, want, present)
        others = tuple(each for each in others if goes(each, beside))
        asked = wished or way.name in stood_for(self._problem.request.stack)
        required = way.how != "skip" and (asked or self._mode in ("prebuilt", "build"))
        return build_of(way, want, examiner, self._elsewhere(way), others=others, beside=beside, required=required)

    def _wants(self, environment: Environment, *, optional: bool) -> tuple[ComponentRequirement, ...]:
        """The components that the stack needs, and those that the user wishes for."""
        needed = wants_of(environment, self._problem.request.stack, self._source, optional=optional)
        wishes = {want.name: want for want in self._wished(environment)}
        return (*(want for want in needed if want.name not in wishes), *wishes.values())

    def _wished(self, environment: Environment) -> Iterator[ComponentRequirement]:
        wishes = self._wishes(environment)
        names = dict.fromkeys(wish.name for wish in wishes)
        for name in (name for name in names if self._is_component(name, environment)):
            native = native_of(environment.lockset, name)
            specifiers = [wish.specifier for wish in wishes if wish.name == name and wish.specifier]
            yield ComponentRequirement(name, environment, native.version if native else None, ",".join(specifiers))

    def _ordinary(self, environment: Environment) -> Iterator[RequestedPackage]:
        for wish in self._wishes(environment):
            if not self._is_component(wish.name, environment):
                yield RequestedPackage(wish.name, environment, wish.specifier)

    def _extras(self, environment: Environment) -> Iterator[str]:
        """The wishes that the lock does not meet by itself."""
        for wish in self._wishes(environment):
            held = self._locked(environment, wish.name) is not None and not wish.more
            if not held and not self._is_component(wish.name, environment):
                yield self._alike(environment, wish) or wish.text

    def _alike(self, environment: Environment, wish: Wished) -> str | None:
        """A wish in the version of a package of the lock, where one takes no other; an address says which it is."""
        for name in self._present(environment):
            ranges = (
                self._problem.catalogue.components[name].ranges if name in self._problem.catalogue.components else ()
            )
            version = self._locked(environment, name)
            if version and not wish.url and any(each.same and each.user == wish.name for each in ranges):
                extras = f"[{','.join(wish.extras)}]" if wish.extras else ""
                marker = f"; {wish.marker}" if wish.marker else ""
                return f"{wish.name}{extras}{','.join(filter(None, (wish.specifier, f'=={version}')))}{marker}"
        return None

    def _is_component(self, name: str, environment: Environment) -> bool:
        """Whether a name is that of a component, rather than of a package in the lock or on an index.

        What the catalogue knows for ROCm alone (vLLM, SGLang), an index serves for CUDA. The other way round it does
        not: what it has of flash-attn is for CUDA, and its apex is another project.
        """
        if self._locked(environment, name) is not None:
            return False
        catalogue, lockset = self._problem.catalogue, environment.lockset
        if native_of(lockset, name) is not None:
            return True
        served = lockset.accelerator == "cuda" and not releases_of(ComponentRequirement(name, environment), catalogue)
        return name in catalogue.components and not served

    def _locked(self, environment: Environment, name: str) -> str | None:
        return self._problem.locks(environment.lockset, environment.python).get(name)

    def _examiner(self, environment: Environment) -> Examiner:
        settings = settings_of(environment, self._problem.facts, self._problem.catalogue)
        facts = {setting.name: Fact(setting.name, setting.value) for setting in settings}
        return Examiner({**self._machine, **facts}, self._ways, self._mode)

    def _passed(self, environment: Environment, *, needed: bool = False) -> PassedOver:
        """An environment that was given up, with everything that is in the way of it.

        ``needed``: only what must not be left out.
        """
        examiner = self._examiner(environment)
        wants = self._wants(environment, optional=needed and self._mode in (None, "skip"))
        missing = [examiner.missing(want) for want in wants if not want.optional]
        every = (*(each for each in missing if each is not None), *self._contradicted(environment))
        every = every or tuple(self._excluded(environment))
        return PassedOver(environment.lockset, environment.python, every)

    def _excluded(self, environment: Environment) -> Iterator[Missing]:
        """The components that can each be had, and that exclude each other."""
        found = (tried.pairs(environment) for tried in reversed(self._searches))
        every = {want.name: self._ways(want) for want in self._wants(environment, optional=False)}
        fixed = tuple(self._fixed(environment))
        for pair in next(filter(None, found), ()):
            others = (*every.get(pair.name, ()), *(way for way in fixed if way.name == pair.name))
            why = dict.fromkeys(reason for other in others for reason in ruled_out(other, (pair.way,)))
            if why:
                yield Missing(pair.way.name, pair.way.version, tuple(why))

    def _contradicted(self, environment: Environment) -> Iterator[Missing]:
        for wish in self._wishes(environment):
            version = pinned_otherwise(environment.lockset, environment.python, wish, self._problem.locks)
            if version is not None:
                yield Missing(wish.name, wish.specifier, (Rejected(f"the lockset has {version}", ""),))

    def _elsewhere(self, way: ComponentCandidate) -> list[str]:
        """The other Pythons of the lockset on which a component that is left out can be had."""
        if way.how != "skip" or self._mode is not None:
            return []
        return [
            other.python
            for other in self._problem.environments
            if other.lockset is way.environment.lockset
            and other is not way.environment
            and self._examiner(other).missing(ComponentRequirement(way.name, other, way.version)) is None
        ]
