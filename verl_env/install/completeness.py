"""Whether an environment has every native component that its verl trains with; else what stops, and what helps."""

from __future__ import annotations

from verl_env.command_line import command
from verl_env.components.without import needed, without
from verl_env.records import record, replace
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from typing import Any

    from verl_env.environment.state import State
    from verl_env.locksets.model import Lockset
    from verl_env.plans.model import Plan

_EVERYTHING = "every native component that verl trains with is there"
COMPLETE = f"complete: {_EVERYTHING}"


@record
class Lacking:
    """A component that verl misses: why it is not there, what stops, and the options with which verl goes on.

    ``seen`` says where it was seen to train with them, empty where only verl's source says so. ``verl`` is its release;
    ``known`` whether anybody looked into it.
    """

    name: str
    version: str
    reason: str
    stops: str
    verl: str
    options: tuple[str, ...] = ()
    critic: tuple[str, ...] = ()
    seen: str = ""
    known: bool = True


@record
class Completeness:
    """What is missing, and how to give it: in words, each with the command that does it.

    ``to_build`` are the components of a plan that are there only once they are built.
    """

    lacking: tuple[Lacking, ...] = ()
    ways: tuple[tuple[str, str], ...] = ()
    to_build: tuple[str, ...] = ()

    @property
    def gives(self) -> tuple[str, ...]:
        """How to give what is missing, as sentences with the command at their end."""
        return tuple(f"{words}: {line}" for words, line in self.ways)

    @property
    def complete(self) -> bool:
        """Whether nothing stops."""
        return not self.lacking

    def lines(self) -> tuple[str, ...]:
        """One line, or two: what stops, and what helps."""
        if self.complete and self.to_build:
            are = "is" if len(self.to_build) == 1 else "are"
            return (f"complete once {listed(self.to_build)} {are} built: {_EVERYTHING}",)
        if self.complete:
            return (COMPLETE,)
        clauses = "; ".join(f"without {each.name} {each.stops}" for each in self.lacking)
        return f"incomplete: {clauses}", f"  {self._helps()}"

    def to_json(self) -> dict[str, Any]:
        """``complete`` and ``incomplete`` of ``plan`` and ``install``."""
        return {"complete": self.complete, "incomplete": [self._entry(each) for each in self.lacking]}

    def _entry(self, each: Lacking) -> dict[str, Any]:
        return {
            "name": each.name,
            "version": each.version,
            "reason": each.reason,
            "stops": each.stops,
            "instead": ", or ".join(filter(None, (options_words(each), *self.gives))),
            "options": list(each.options),
            "seen": each.seen or None,
        }

    def _helps(self) -> str:
        """What helps against all that is missing: the options of each, what has none, then the commands."""
        helped = [words for each in self.lacking if (words := options_words(each))]
        helpless = [each for each in self.lacking if each.known and not each.options]
        if helpless:
            known = f"no option of verl {helpless[0].verl} does without {listed([e.name for e in helpless], 'or')}"
            return "; ".join((*helped, known, *self.gives))
        return ", or ".join(filter(None, ("; ".join(helped), *self.gives)))


def of_plan(
    plan: Plan, left_out: Mapping[str, str] | None = None, into: str = ".venv", *, carried_out: bool = False
) -> Completeness:
    """The completeness of what a plan makes.

    Args:
        plan: The plan.
        left_out: What could not be had besides, with the reason.
        into: The environment, as the user writes it.
        carried_out: Whether its builds are made.
    """
    planned = {build.name: build.reason for build in plan.natives if build.how == "skip"}
    gone = planned | dict(left_out or {})
    files = {build.name: (*build.unreached, build.address) for build in plan.natives}
    there = {package.name for package in plan.packages} | {build.name for build in plan.natives}
    gone = _absent(plan.lockset, plan.stack, there) | gone
    found = _completeness(plan.lockset, gone, plan.asked, into, files, there)
    builds = tuple(build.name for build in plan.natives if build.how == "build" and build.name not in gone)
    return found if carried_out else replace(found, to_build=builds)


def of_state(state: State, lockset: Lockset, into: str, there: Container[str] | None = None) -> Completeness:
    """The completeness of an environment by its record and the packages that are ``there`` now, where they are known.

    What came into it since it was made is not missing.
    """
    gone = {name: reason for name, reason in state.left_out.items() if name not in (there or ())}
    if there is not None:
        gone = _absent(lockset, state.stack, there) | gone
    return _completeness(lockset, gone, state.asked, into, {name: tuple(state.barred) for name in gone}, there)


def _completeness(
    lockset: Lockset,
    gone: Mapping[str, str],
    asked: Sequence[str],
    into: str,
    addresses: Mapping[str, Sequence[str]],
    there: Container[str] | None,
) -> Completeness:
    versions = {native.name: native.version for native in lockset.natives}
    names = [*filter(gone.__contains__, versions), *(name for name in gone if name not in versions)]
    found = [_lacking(lockset, name, versions.get(name, ""), gone[name], there) for name in names]
    lacking = tuple(each for each in found if each is not None)
    if not lacking:
        return Completeness()
    return Completeness(lacking, tuple(_ways([each.name for each in lacking], asked, into, addresses)))


def _absent(lockset: Lockset, stack: str, there: Container[str]) -> dict[str, str]:
    """What verl needs for a stack and the lockset does not bring: it is not there, or something that it imports."""
    gone = {}
    for row in needed(lockset.verl, stack.split("+")):
        missing = [name for name in (row.component, *row.imports) if name not in there]
        if row.component in missing:
            gone[row.component] = f"{lockset.id} has none"
        elif missing:
            gone[row.component] = f"it imports {listed(missing)}, which {lockset.id} has not"
    return gone


def _lacking(lockset: Lockset, name: str, version: str, reason: str, there: Container[str] | None) -> Lacking | None:
    """None where verl is known to go on without it; where nobody looked, that is said.

    What was seen to train was seen on GPUs of NVIDIA.
    """
    verl = lockset.verl
    row = without(name, verl)
    if row is None:
        return Lacking(name, version, reason, f"it is not known what verl {verl} can do", verl, known=False)
    if not row.stops:
        return None
    helped = there is None or all(each in there for each in row.by)
    options, critic = (row.options, row.critic) if helped else ((), ())
    seen = row.seen if lockset.accelerator == "cuda" else ""
    return Lacking(name, version, reason, row.stops, verl, options, critic, seen)


def options_words(each: Lacking) -> str:
    """``"train with A B (seen to train)"``; empty where no option helps."""
    if not each.options:
        return ""
    known = "seen to train" if each.seen else f"by the source of verl {each.verl}; not tried"
    return f"train with {' '.join(each.options)} ({known})"


def _ways(
    names: Sequence[str], asked: Sequence[str], into: str, addresses: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """How to give what is missing: published wheels by the installation again, others by themselves."""
    files = {name: file for name in names if (file := _wheel(name, addresses.get(name, ())))}
    if files and asked:
        wishes = [word for name in files for word in ("--with", name)]
        again = command("install", *_without_native(asked), *_place(into), *wishes, "--wheelhouse", ".")
        yield f"give the wheel ({listed(files.values())} in the current directory)", again
    if rest := [name for name in names if name not in files]:
        wheels = " ".join(f"./{name.replace('-', '_')}-*.whl" for name in rest)
        yield f"give a wheel of {listed(rest)}", f"{command('pip', *_place(into), 'install')} {wheels}"


def _place(into: str) -> list[str]:
    return [] if into == ".venv" else ["--into", into]


def _without_native(asked: Sequence[str]) -> list[str]:
    """The words without ``--native``, which may be why something is missing."""
    words = list(asked)
    if "--native" in words:
        del words[words.index("--native") : words.index("--native") + 2]
    return words


def _wheel(name: str, addresses: Sequence[str]) -> str:
    """The file name of the first of some addresses that is a wheel of a component; empty where none is."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415  only where something is missing

    stem = name.replace("-", "_").lower()
    files = (unquote(urlsplit(address).path).rsplit("/", 1)[-1] for address in addresses)
    return next((file for file in files if file.endswith(".whl") and file.lower().startswith(f"{stem}-")), "")
