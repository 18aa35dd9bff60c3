"""Which versions of a component those that use it take, and which choices they rule out by that."""

from __future__ import annotations

from verl_env.choose.compare import release
from verl_env.choose.model import Rejected
from verl_env.choose.resolver.model import AcceptedRange, ComponentCandidate, PinnedDistribution
from verl_env.choose.resolver.words import range_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from verl_env.choose.resolver.model import Candidate, Environment
    from verl_env.components.model import Catalogue, Component, Range


def said(component: Component, user: str, version: str) -> Range | None:
    """What a version of a user says of a component; None where nobody has looked."""
    return next((each for each in component.ranges if each.user == user and _is_of(each, version)), None)


def is_taken(words: Range, version: str) -> bool:
    """Whether a version is in a range."""
    have = release(version.partition("+")[0])
    return (
        (words.least is None or have >= release(words.least))
        and (words.most is None or have <= release(words.most))
        and (words.below is None or have < release(words.below))
    )


def takes_of(
    user: str, version: str, environment: Environment, catalogue: Catalogue, present: Iterable[str]
) -> Iterator[AcceptedRange]:
    """What a version of a user says of the components ``present``.

    Where user and component come as the lockset names them, nothing is ruled out: an image that was run says more.
    """
    own = stated_version(environment, user) == version
    for name in present:
        component = catalogue.components.get(name) if name != user else None
        words = said(component, user, version) if component is not None else None
        if words is not None:
            yield AcceptedRange(name, environment, words, stated_version(environment, name) if own else None)


def is_let_in(takes: AcceptedRange, candidate: Candidate) -> bool:
    """Whether what a candidate says of a component lets another candidate in; of a version that is none, it does."""
    version = candidate.version if isinstance(candidate, ComponentCandidate | PinnedDistribution) else None
    if version is None or (isinstance(candidate, ComponentCandidate) and candidate.how == "skip"):
        return True
    return version == takes.own or not release(version.partition("+")[0])[0] or is_taken(takes.words, version)


def ruled_out(way: ComponentCandidate, beside: Iterable[ComponentCandidate]) -> Iterator[Rejected]:
    """Why a way is none beside others: each that does not take it, or that it does not take."""
    for other in beside:
        for user, component in ((other, way), (way, other)):
            for takes in user.takes:
                if takes.name == component.name and not is_let_in(takes, component):
                    yield Rejected(f"{way.name} {way.version}", range_words(user, takes, component.version))


def goes(way: ComponentCandidate, beside: Iterable[ComponentCandidate]) -> bool:
    """Whether a way takes all others, and they it."""
    return next(ruled_out(way, beside), None) is None


def stated_version(environment: Environment, name: str) -> str | None:
    """The version that a lockset names of a component, of an engine or of verl."""
    lockset = environment.lockset
    named = {"verl": lockset.verl, "torch": lockset.torch, **lockset.engines}
    named |= {native.name: native.version for native in lockset.natives}
    return named.get(name)


def _is_of(words: Range, version: str) -> bool:
    if words.before == words.since:
        return version == words.since
    if release(version) < release(words.since):
        return False
    return words.before is None or release(version) < release(words.before)
