"""The ways of a component: its published wheels, those of later patch releases, its builds, at last without it."""

from __future__ import annotations

from verl_env.choose.compare import minor_release
from verl_env.choose.errors import STANDS_FOR
from verl_env.choose.model import address_of
from verl_env.choose.resolver.facts import REACH, met
from verl_env.choose.resolver.model import ComponentCandidate, ComponentRequirement, Need
from verl_env.choose.resolver.near import near_releases
from verl_env.choose.resolver.needs import compiler_of_index, recipe_needs, wheel_needs
from verl_env.choose.resolver.ranges import takes_of
from verl_env.choose.specifiers import allows
from verl_env.components.families import wheels_of
from verl_env.components.model import Release, Wheel
from verl_env.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from verl_env.choose.model import NativeMode
    from verl_env.choose.resolver.model import Environment, Fact
    from verl_env.components.model import Catalogue, Recipe
    from verl_env.locksets.model import Accelerator, Lockset, Native


@record
class CandidateSource:
    """Where ways come from: the catalogue, the facts of the machine, and what ``--native`` allows.

    ``stack`` is what environments are for, and ``asked`` the components that they hold besides.
    ``barred`` says of an address (``choose.model.address_of``) why nothing can be had from it, None where nothing is
    known against it. ``present`` gives the components that an environment has or may have.
    """

    catalogue: Catalogue
    machine: Mapping[str, Fact]
    mode: NativeMode | None = None
    stack: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    barred: Callable[[str], str | None] = lambda _: None
    present: Callable[[Environment], tuple[str, ...]] = lambda _: ()


def native_of(lockset: Lockset, name: str) -> Native | None:
    """The native component of a lockset by that name, or None."""
    return next((native for native in lockset.natives if native.name == name), None)


def wants_of(
    environment: Environment, stack: Sequence[str], source: CandidateSource, *, optional: bool
) -> tuple[ComponentRequirement, ...]:
    """The components that a stack needs in an environment; what is only built against comes with its builds.

    ``optional``: what no part of the stack stands for may be left out; with ``--native skip`` that too.
    """
    kept = stood_for(stack) if source.mode != "skip" else ()
    return tuple(
        ComponentRequirement(native.name, environment, native.version, optional=optional and native.name not in kept)
        for native in environment.lockset.natives
        if (not native.needed_for or not set(native.needed_for).isdisjoint(stack))
        and not _only_built_against(native, source.catalogue)
    )


def stood_for(stack: Sequence[str]) -> set[str]:
    """The components that parts of a stack stand for."""
    return {STANDS_FOR[part] for part in stack if part in STANDS_FOR}


class ComponentCandidates:
    """Every way of a want, the preferred first; each want's are worked out once and stay the same objects.

    Which of them fit is another question.
    """

    def __init__(self, source: CandidateSource) -> None:
        self._source = source
        self._known: dict[tuple[int, str, str | None, str, bool], tuple[ComponentCandidate, ...]] = {}
        self._needs: dict[tuple[int, str], tuple[Need, ...]] = {}

    def __call__(self, want: ComponentRequirement) -> tuple[ComponentCandidate, ...]:
        """The ways of one want."""
        key = (id(want.environment), want.name, want.version, want.specifier, want.optional)
        if key not in self._known:
            self._known[key] = tuple(map(self._ranged, self._ways_of(want)))
        return self._known[key]

    def _ways_of(self, want: ComponentRequirement) -> Iterator[ComponentCandidate]:
        releases = releases_of(want, self._source.catalogue)
        yield from self._certain_first(
            self._by_wheel(want, release, wheel)
            for release in releases
            for wheel in _wheels(release, want)
            if self._is_allowed(want, release, wheel)
        )
        if self._source.mode in (None, "prebuilt"):
            yield from self._near(want)
        if self._source.mode in (None, "build"):
            yield from (self._by_recipe(want, release, recipe) for release in releases for recipe in release.recipes)
        if want.optional:
            yield ComponentCandidate(want.name, _version(want, releases), want.environment, "skip")

    def _ranged(self, way: ComponentCandidate) -> ComponentCandidate:
        """A way with what it says of the components beside it."""
        if way.how == "skip":
            return way
        beside = dict.fromkeys((*self._source.present(way.environment), *(want.name for want in way.after)))
        catalogue = self._source.catalogue
        takes = tuple(takes_of(way.name, way.version, way.environment, catalogue, beside))
        component = catalogue.components.get(way.name)
        users = {each.user for each in component.ranges} if component is not None else set()
        related = tuple(name for name in beside if name in users or any(each.name == name for each in takes))
        return replace(way, takes=takes, related=related) if related else way

    def _is_allowed(self, want: ComponentRequirement, release: Release, wheel: Wheel) -> bool:
        """Whether ``--native`` lets a wheel in: with ``build``, one that is only a part of what is built, too."""
        if self._source.mode != "build":
            return self._source.mode in (None, "prebuilt")
        return bool(wheel.after) or not (release.recipes or native_of(want.environment.lockset, want.name))

    def _certain_first(self, wheels: Iterable[ComponentCandidate]) -> list[ComponentCandidate]:
        """Wheels in order: what may need more than this machine has, or was moved, last; of torch's own CUDA first.

        Such a wheel is read before it lands, which takes a second; a build takes hours.
        """
        return sorted(wheels, key=lambda way: (self._is_doubted(way), _is_of_another_toolkit(way)))

    def _near(self, want: ComponentRequirement) -> Iterator[ComponentCandidate]:
        """The wheels of later patch releases that may stand in, the nearest first."""
        for release, ranges in near_releases(want, self._source.catalogue, self._source.stack, self._source.asked):
            ways = self._certain_first(self._by_wheel(want, release, wheel) for wheel in _wheels(release, want))
            yield from (replace(way, instead_of=want.version, taken_by=ranges) for way in ways)

    def _is_doubted(self, wheel: ComponentCandidate) -> bool:
        moved = wheel.wheel is not None and not wheel.wheel.address_confirmed
        return moved or any(need.perhaps and not self._is_met(need) for need in wheel.needs)

    def _is_met(self, need: Need) -> bool:
        return met(need, self._source.machine[need.name].value) is True

    def _by_wheel(self, want: ComponentRequirement, release: Release, wheel: Wheel) -> ComponentCandidate:
        """Wheels are of many locksets, and need the same in all that are for one accelerator."""
        accelerator = want.environment.lockset.accelerator
        key = (id(wheel), accelerator)
        if key not in self._needs:
            self._needs[key] = wheel_needs(wheel, accelerator)
        needs = (*self._needs[key], *self._reach(address_of(want.name, release.version, wheel, None)))
        after = tuple(ComponentRequirement(name, want.environment, release.version) for name in wheel.after)
        return ComponentCandidate(
            want.name, release.version, want.environment, "prebuilt", wheel=wheel, needs=needs, after=after
        )

    def _reach(self, address: str) -> tuple[Need, ...]:
        """A condition that nothing meets, where nothing can be had from an address."""
        reason = self._source.barred(address)
        return () if reason is None else (Need(REACH, among=("yes",), why=reason),)

    def _by_recipe(self, want: ComponentRequirement, release: Release, recipe: Recipe) -> ComponentCandidate:
        lockset, catalogue = want.environment.lockset, self._source.catalogue
        needs = recipe_needs(recipe, release, lockset, catalogue, self._source.machine)
        needs = (*needs, *self._reach(address_of(want.name, release.version, None, recipe)))
        after = _after(recipe.after, want.environment, catalogue)
        ours = compiler_of_index(recipe, lockset, catalogue, self._source.machine)
        return ComponentCandidate(
            want.name,
            release.version,
            want.environment,
            "build",
            recipe=recipe,
            needs=needs,
            after=after,
            compiler=ours,
        )


def _is_of_another_toolkit(way: ComponentCandidate) -> bool:
    toolkit = way.wheel.toolkit if way.wheel is not None else None
    return toolkit is not None and toolkit != minor_release(way.environment.lockset.cuda or "")


def _wheels(release: Release, want: ComponentRequirement) -> tuple[Wheel, ...]:
    """The wheels of a release; of collections, those for the torch and Python of the environment."""
    return wheels_of(release, want.environment.lockset.torch, want.environment.python)


def releases_of(want: ComponentRequirement, catalogue: Catalogue) -> tuple[Release, ...]:
    """The releases of a component that a want allows, newest first.

    Where the lockset states no version, those that are for its accelerator.
    """
    component = catalogue.components.get(want.name)
    if want.version is None:
        every = component.releases if component else ()
        allowed = [release for release in every if allows(want.specifier, release.version)]
        return tuple(_for_accelerator(allowed, want.environment.lockset.accelerator))
    release = component.release(want.version) if component else None
    return (release or Release(want.version, (), ()),)


def _for_accelerator(releases: Sequence[Release], accelerator: Accelerator) -> Iterator[Release]:
    """Releases without what is for the other accelerator, where something is left of them."""
    other, compiler = ("rocm", "hipcc") if accelerator == "cuda" else ("cuda", "nvcc")
    for release in releases:
        wheels = tuple(wheel for wheel in release.wheels if getattr(wheel, other) is None)
        recipes = tuple(recipe for recipe in release.recipes if all(tool.name != compiler for tool in recipe.tools))
        families = release.families if accelerator == "cuda" else ()
        if wheels or recipes or families:
            yield replace(release, wheels=wheels, recipes=recipes, families=families)


def _after(names: Sequence[str], environment: Environment, catalogue: Catalogue) -> tuple[ComponentRequirement, ...]:
    """What must be built before, in the lockset's version where it states one; other names are ordinary packages."""
    wants = []
    for name in names:
        native = native_of(environment.lockset, name)
        if native is not None or name in catalogue.components:
            wants.append(ComponentRequirement(name, environment, native.version if native is not None else None))
    return tuple(wants)


def _version(want: ComponentRequirement, releases: Sequence[Release]) -> str:
    return want.version or (releases[0].version if releases else "")


def _only_built_against(native: Native, catalogue: Catalogue) -> bool:
    """Whether a component is no distribution: a directory or sources that a build looks into."""
    component = catalogue.components.get(native.name)
    release = component.release(native.version) if component else None
    if release is None or release.wheels or release.families or not release.recipes:
        return False
    return all(recipe.product != "wheel" for recipe in release.recipes)
