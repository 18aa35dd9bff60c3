"""What a user asks for beside the stack (``--with``): components, and ordinary packages under the lock's pins."""

from __future__ import annotations

from verl_env.choose.errors import WishInvalidError
from verl_env.choose.model import Evaluation, Verdict
from verl_env.choose.pythons import pythons_in_order
from verl_env.choose.specifiers import allows
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from verl_env.choose.facts import Facts
    from verl_env.choose.model import Request
    from verl_env.locksets.model import Lockset

    #: The versions of the packages in a lockset's lock for a Python, by name.
    Locks = Callable[[Lockset, str], Mapping[str, str]]


@record
class Asked:
    """One wish: the normalized name, the versions that it allows, and as it was written.

    ``more``: the lock cannot meet it by a version alone, as it names extras or an address.
    """

    name: str
    specifier: str
    text: str
    more: bool = False


def parse_wishes(texts: Sequence[str]) -> tuple[Asked, ...]:
    """Wishes as requirements.

    Raises:
        WishInvalidError: one is none.
    """
    return tuple(map(_parse, texts))


def shipped_locks() -> Locks:
    """The locks that are shipped, each read once."""
    from verl_env.locksets.catalogue import packages_of  # noqa: PLC0415  only wishes need locks

    known: dict[tuple[str, str], Mapping[str, str]] = {}

    def versions(lockset: Lockset, python: str) -> Mapping[str, str]:
        key = (lockset.id, python)
        if key not in known:
            packages = packages_of(lockset, python, verify=False)
            known[key] = {package.name: package.version for package in packages}
        return known[key]

    return versions


def with_wishes(
    evaluations: Sequence[Evaluation], facts: Facts, request: Request, wishes: Sequence[Asked], locks: Locks
) -> tuple[Evaluation, ...]:
    """Evaluations with the wishes that their locksets contradict.

    The locks of those that do not fit anyway are read only where nothing fits and the nearest is to be found.
    """

    def judged(evaluation: Evaluation) -> Evaluation:
        lockset = evaluation.lockset
        pythons = [python for python, _ in pythons_in_order(lockset, facts, request)]
        return Evaluation(lockset, (*evaluation.verdicts, *judge_wishes(lockset, pythons, wishes, locks)))

    found = tuple(judged(each) if each.fits else each for each in evaluations)
    if any(each.fits for each in found):
        return found
    return tuple(each if before.fits else judged(each) for each, before in zip(found, evaluations, strict=True))


def judge_wishes(lockset: Lockset, pythons: Sequence[str], wishes: Sequence[Asked], locks: Locks) -> Iterator[Verdict]:
    """The wishes that a lockset contradicts on every Python that it could be for."""
    for wish in wishes:
        pinned = [pin for pin in (pinned_otherwise(lockset, python, wish, locks) for python in pythons) if pin]
        if pinned and len(pinned) == len(pythons):
            version = pinned[0]
            message = f"it has {wish.name} {version}, not {wish.specifier}"
            yield Verdict("with", "failed", wish.text, version, message, brief=f"not {wish.text}", subject=wish.name)


def pinned_otherwise(lockset: Lockset, python: str, wish: Asked, locks: Locks) -> str | None:
    """The version that a lockset has of a package where a wish does not allow that; else None."""
    version = locked_version(lockset, python, wish.name, locks)
    return None if version is None or allows(wish.specifier, version) else version


def locked_version(lockset: Lockset, python: str, name: str, locks: Locks) -> str | None:
    """The version that a lockset states of a package or a native component, or None."""
    native = next((native.version for native in lockset.natives if native.name == name), None)
    return locks(lockset, python).get(name, native)


def misspelt(extras: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """A warning for each wish whose name is nearly that of a component; an index may hold anything under it."""
    if not extras:
        return
    from difflib import get_close_matches  # noqa: PLC0415  2 ms, for wishes alone

    for wish in parse_wishes(extras):
        for name in get_close_matches(wish.name, known, n=1, cutoff=0.75):
            yield f"{wish.name} is no native component and is taken from the index; did you mean --with {name}?"


def _parse(text: str) -> Asked:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  5 ms that a plan does not need
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise WishInvalidError(text, str(error).partition("\n")[0]) from None
    more = bool(requirement.extras or requirement.url)
    return Asked(str(canonicalize_name(requirement.name)), str(requirement.specifier), str(requirement), more)
