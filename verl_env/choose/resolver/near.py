"""Later patch releases of a component, where none of the version that the lockset names can be had as a wheel."""

from __future__ import annotations

from verl_env.choose.resolver.ranges import is_taken, said
from verl_env.choose.specifiers import allows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from verl_env.choose.resolver.model import ComponentRequirement, Environment
    from verl_env.components.model import Catalogue, Component, Range, Release

VERL = "verl"


def near_releases(
    want: ComponentRequirement, catalogue: Catalogue, stack: Sequence[str], asked: Container[str] = ()
) -> Iterator[tuple[Release, tuple[Range, ...]]]:
    """The later patch releases that all who use a component in an environment take, with the words of each of them.

    Those who use it are verl, the engines, and the components that the stack needs beside it: each must have said so
    (``Component.ranges``), and nobody's silence is taken for a yes.

    Args:
        want: The component, in the version of the lockset.
        catalogue: The native components.
        stack: What the environment is for.
        asked: Components that are in it besides.
    """
    component = catalogue.components.get(want.name)
    wanted = component.release(want.version) if component and want.version else None
    if component is None or wanted is None or not wanted.near:
        return
    users = users_of(want.environment, component, stack, asked)
    words = [said(component, user, version) for user, version in users.items()]
    for version in wanted.near:
        near = component.release(version)
        ranges = tuple(each for each in words if each is not None and is_taken(each, version))
        if near is not None and len(ranges) == len(users) and allows(want.specifier, version):
            yield near, ranges


def users_of(
    environment: Environment, component: Component, stack: Sequence[str], asked: Container[str] = ()
) -> Mapping[str, str]:
    """Who uses a component in an environment, each with its version."""
    lockset = environment.lockset
    ranged = {each.user for each in component.ranges}
    beside = {
        native.name: native.version
        for native in lockset.natives
        if native.name in ranged
        and (native.name in asked or not native.needed_for or not set(native.needed_for).isdisjoint(stack))
    }
    return {VERL: lockset.verl, **lockset.engines, **beside}
