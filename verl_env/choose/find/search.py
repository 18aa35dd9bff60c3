"""The search: every wheel and build against what was stated, ranked."""

from __future__ import annotations

from verl_env.choose.compare import minor_release, release
from verl_env.choose.find.errors import ComponentUnknownError, VersionNotKnownError
from verl_env.choose.find.model import Findings, Found
from verl_env.choose.find.words import reason_of, unstated_words
from verl_env.choose.resolver.facts import ABI, CUDA, HEADERS, PYTHON, ROCM, TORCH, machine_facts, met
from verl_env.choose.resolver.needs import recipe_needs, wheel_needs
from verl_env.choose.specifiers import allows
from verl_env.components.families import wheels_of
from verl_env.machine.model import UNKNOWN
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.find.model import World
    from verl_env.choose.resolver.model import Need, Value
    from verl_env.components.model import Catalogue, Component, Recipe, Release, Wheel
    from verl_env.locksets.model import Accelerator


def search(name: str, specifier: str, world: World, facts: MachineFacts, catalogue: Catalogue) -> Findings:
    """Everything that is known of a component, the best first.

    What fits goes before what may fit, and that before the rest; then newer versions, wheels of the project before
    those of others, those made with torch's own CUDA, those with a recorded digest. What does not fit is ranked by how
    little is in its way.

    Args:
        name: The component.
        specifier: The versions that count, as in a requirement; empty for all.
        world: What it must be for.
        facts: The machine.
        catalogue: The native components.

    Raises:
        ComponentUnknownError: the catalogue does not have it.
        VersionNotKnownError: no version is in the range.
    """
    if name not in catalogue.components:
        raise ComponentUnknownError(name, sorted(catalogue.components))
    component = catalogue.components[name]
    releases = [each for each in component.releases if allows(specifier, each.version)]
    if not releases:
        raise VersionNotKnownError(name, specifier, [each.version for each in component.releases])
    values = {fact.name: fact.value for fact in machine_facts(facts).values()} | _values(world)
    wheels = [_wheel(each, wheel, world, values) for each in releases for wheel in wheels_of(each)]
    builds = [each for one in releases for each in _builds(one, world, values, catalogue, facts)]
    return Findings(
        name,
        specifier,
        world,
        tuple(sorted(wheels, key=lambda each: _rank(each, world))),
        tuple(sorted(builds, key=lambda each: _rank(each, world))),
        component.indexes if world.accelerator == "cuda" and not _excluded(component, specifier) else (),
    )


def _excluded(component: Component, specifier: str) -> bool:
    return not any(allows(specifier, index.version.partition("+")[0]) for index in component.indexes)


def _values(world: World) -> dict[str, Value]:
    """The facts that torch and Python set; one accelerator's wheels are nothing for the other's torch."""
    other = {ROCM: None, CUDA: world.cuda} if world.accelerator == "cuda" else {CUDA: None, ROCM: world.rocm}
    return {TORCH: world.torch, PYTHON: world.python, ABI: world.abi, HEADERS: UNKNOWN, **other}


def _wheel(of: Release, wheel: Wheel, world: World, values: Mapping[str, Value]) -> Found:
    accelerator = "rocm" if wheel.rocm else "cuda" if wheel.cuda else world.accelerator
    needs = wheel_needs(wheel, accelerator)
    return _found(of.version, needs, values, wheel=wheel)


def _builds(
    of: Release, world: World, values: Mapping[str, Value], catalogue: Catalogue, facts: MachineFacts
) -> Iterator[Found]:
    machine, torch = machine_facts(facts), _Torch(world.accelerator, _text(world.cuda), _text(world.rocm))
    for recipe in of.recipes:
        hip = any(tool.name == "hipcc" for tool in recipe.tools)
        if hip is (world.accelerator == "rocm") or not recipe.tools:
            needs = recipe_needs(recipe, of, torch, catalogue, machine)
            yield _found(of.version, needs, values, recipe=recipe)


@record
class _Torch:
    """What builds are for."""

    accelerator: Accelerator
    cuda: str | None
    rocm: str | None


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None


def _found(
    version: str,
    needs: Sequence[Need],
    values: Mapping[str, Value],
    *,
    wheel: Wheel | None = None,
    recipe: Recipe | None = None,
) -> Found:
    judged = [(need, values.get(need.name), met(need, values.get(need.name))) for need in needs]
    reasons = tuple(reason_of(need, value) for need, value, fits in judged if fits is False)
    doubts = tuple(reason_of(need, value) for need, value, fits in judged if fits is None and value is not UNKNOWN)
    unstated = dict.fromkeys(unstated_words(need) for need, value, fits in judged if fits is None and value is UNKNOWN)
    fits = False if reasons else None if doubts or (wheel is not None and not wheel.address_confirmed) else True
    return Found(
        version,
        "wheel" if wheel is not None else "build",
        wheel,
        recipe,
        fits,
        reasons,
        doubts,
        tuple(filter(None, unstated)),
    )


def _rank(each: Found, world: World) -> tuple[object, ...]:
    state = {True: 0, None: 1, False: 2}[each.fits]
    newest = tuple(-number for number in _flat(each.version))
    wheel = each.wheel
    if wheel is None:
        return (state, len(each.reasons), newest)
    foreign = isinstance(world.cuda, str) and wheel.toolkit not in (None, minor_release(world.cuda))
    torch = tuple(-number for number in _flat(wheel.torch or "0"))
    more = (wheel.publisher is not None, foreign, wheel.sha256 is None, torch, wheel.file)
    return (state, len(each.reasons), len(each.unstated), newest, *more)


def _flat(version: str) -> tuple[int, ...]:
    """A version as numbers of one length that order it: ``2.8.3.post1`` after 2.8.3."""
    head, stage, step = release(version)
    return (*(*head, 0, 0, 0, 0)[:4], stage, step)
