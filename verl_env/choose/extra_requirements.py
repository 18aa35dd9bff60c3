"""What a user asks for beside the stack (``--with``): components, and ordinary packages under the lock's pins."""

from __future__ import annotations

from verl_env.choose.errors import WishInvalidError
from verl_env.choose.model import Evaluation, Verdict
from verl_env.choose.pythons import pythons_in_order
from verl_env.choose.specifiers import allows, is_empty
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Request
    from verl_env.locksets.model import Lockset

    #: The versions of the packages in a lockset's lock for a Python, by name.
    Locks = Callable[[Lockset, str], Mapping[str, str]]


@record
class PackageRequest:
    """One wish: the normalized name, the versions that it allows, and as it was written.

    ``extras`` and ``url`` are those that it names, which a lock cannot meet by a version alone; ``marker`` says for
    which environments it is.
    """

    name: str
    specifier: str
    text: str
    extras: tuple[str, ...] = ()
    url: str | None = None
    marker: str = ""

    @property
    def more(self) -> bool:
        """Whether a version alone does not meet it."""
        return bool(self.extras or self.url)


def parse_wishes(texts: Sequence[str]) -> tuple[PackageRequest, ...]:
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
    evaluations: Sequence[Evaluation],
    facts: MachineFacts,
    request: Request,
    wishes: Sequence[PackageRequest],
    locks: Locks,
) -> tuple[Evaluation, ...]:
    """Evaluations with the wishes that their locksets contradict.

    The locks of those that do not fit anyway are read only where nothing fits and the nearest is to be found.
    """

    def judged(evaluation: Evaluation) -> Evaluation:
        lockset = evaluation.lockset
        pythons = [python for python, _ in pythons_in_order(lockset, facts, request)]
        arch = arch_of(lockset, facts)
        return Evaluation(lockset, (*evaluation.verdicts, *judge_wishes(lockset, pythons, wishes, locks, arch)))

    found = tuple(judged(each) if each.fits else each for each in evaluations)
    if any(each.fits for each in found):
        return found
    return tuple(each if before.fits else judged(each) for each, before in zip(found, evaluations, strict=True))


def arch_of(lockset: Lockset, facts: MachineFacts) -> str:
    """The architecture that an environment is for: the machine's, else the lockset's first."""
    arch = facts.machine.host.arch
    return arch if isinstance(arch, str) else next(iter(lockset.requires.arch), "")


def applies(wish: PackageRequest, python: str, arch: str) -> bool:
    """Whether the marker of a wish holds for a Python on an architecture."""
    if not wish.marker:
        return True
    from packaging.markers import Marker  # noqa: PLC0415  few wishes have one

    from verl_env.locksets.target import LockTarget  # noqa: PLC0415

    return Marker(wish.marker).evaluate({**LockTarget(python, arch, "").markers, "extra": ""})


def judge_wishes(
    lockset: Lockset, pythons: Sequence[str], wishes: Sequence[PackageRequest], locks: Locks, arch: str
) -> Iterator[Verdict]:
    """The wishes that a lockset contradicts on every Python that it could be for."""
    for wish in wishes:
        concerned = [python for python in pythons if applies(wish, python, arch)]
        pinned = [pin for pin in (pinned_otherwise(lockset, python, wish, locks) for python in concerned) if pin]
        if pinned and len(pinned) == len(pythons):
            version = pinned[0]
            message = f"it has {wish.name} {version}, not {wish.specifier}"
            yield Verdict("with", "failed", wish.text, version, message, brief=f"not {wish.text}", subject=wish.name)


def pinned_otherwise(lockset: Lockset, python: str, wish: PackageRequest, locks: Locks) -> str | None:
    """The version that a lockset has of a package where a wish does not allow that; else None."""
    version = locked_version(lockset, python, wish.name, locks)
    return None if version is None or allows(wish.specifier, version) else version


def locked_version(lockset: Lockset, python: str, name: str, locks: Locks) -> str | None:
    """The version that a lockset states of a package or a native component, or None."""
    native = next((native.version for native in lockset.natives if native.name == name), None)
    return locks(lockset, python).get(name, native)


def misspelt(extras: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """A warning for each wish whose name is that of a component, or nearly; an index may hold anything under it."""
    if not extras:
        return
    from difflib import get_close_matches  # noqa: PLC0415  2 ms, for wishes alone

    for wish in parse_wishes(extras):
        if wish.name in known:
            yield f"{wish.name} is known as a native component for ROCm only, and is taken from the index"
            continue
        for name in get_close_matches(wish.name, known, n=1, cutoff=0.75):
            yield f"{wish.name} is no native component and is taken from the index; did you mean --with {name}?"


def without_effect(wishes: Sequence[PackageRequest], python: str, arch: str) -> Iterator[str]:
    """A warning for each wish whose marker does not hold where it would be installed."""
    for wish in wishes:
        if not applies(wish, python, arch):
            yield f"--with {wish.text!r} asks for nothing here: its marker does not hold for Python {python} on {arch}"


def checked_for_component(wish: PackageRequest) -> None:
    """A component comes from the ways that are known of it.

    Raises:
        WishInvalidError: the wish names an address or extras, which would not count.
    """
    if wish.url is not None:
        reason = f"gives an address, and {wish.name} is a native component, which is chosen by what its wheels are"
        instead = ("put the wheel into a directory", wish.name)
        raise WishInvalidError(wish.text, reason, instead, ("--wheelhouse", "DIR"))
    if wish.extras:
        reason = f"names extras, and {wish.name} is a native component, of which there are none"
        raise WishInvalidError(wish.text, reason, ("leave them out", f"{wish.name}{wish.specifier}"))


def _parse(text: str) -> PackageRequest:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  5 ms that a plan does not need
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise WishInvalidError(text, f"is no requirement: {str(error).partition(chr(10))[0]}") from None
    specifier, name = str(requirement.specifier), str(canonicalize_name(requirement.name))
    if is_empty(specifier):
        raise WishInvalidError(text, f"asks for no version: none is in {specifier}", ("name one range", name))
    marker = str(requirement.marker) if requirement.marker else ""
    return PackageRequest(name, specifier, str(requirement), tuple(sorted(requirement.extras)), requirement.url, marker)
