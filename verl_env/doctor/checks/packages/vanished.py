"""Names that one package asks of another and that its release does not have: whichever packages they are.

A traceback says who asks (the frame above) and who has not (the module or the class in the message). Which releases
have the name comes from the table of names; which of the two is newer, and what the asking release wants, from the
table of releases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from verl_env.doctor.checks.frames import distribution, frames_of
from verl_env.doctor.checks.functions import reads
from verl_env.doctor.checks.packages.coupling import shadowed
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.doctor.names.known import history, knows, moved
from verl_env.doctor.names.table import projects
from verl_env.doctor.releases.known import markers_of
from verl_env.doctor.releases.table import asked, release, releases

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.version import Version

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.names.known import History

_ARGUMENT = re.compile(
    r"TypeError: (?:[a-z]\w*\.)*(?P<called>\w+(?:\.\w+)?)\(\) got an unexpected keyword argument '(?P<argument>\w+)'"
)
#: What has attributes and no releases: nothing vanished from it.
_NO_CLASS = frozenset({"NoneType", "function", "method", "coroutine", "generator"})
#: Packages whose names are checked by others, or that are the user's own.
_OTHERS = frozenset({"builtins", "main", "none", "nonetype", "str", "dict", "list", "int", "tuple"})


def _frames(match: re.Match[str]) -> list[str]:
    """The distributions of the frames of the traceback that a message ends, outermost first."""
    found = [frame.package for frame in frames_of(match) if frame.package]
    # torch's frames only pass a call of a module on.
    return [name for name in found if name != "torch"] or found


def _owner(facts: Facts, frames: Sequence[str], match: re.Match[str]) -> str | None:
    """Whose class or function it is, by the table of names: one of the traceback, or one that is installed."""
    member = _member(match)
    there = (*reversed(frames), *(name for name in projects() if facts.installed(name)))
    return next((name for name in there if knows(name, member)), None) if member else None


def _sides(facts: Facts, match: re.Match[str]) -> tuple[str | None, str | None]:
    """Who asks, and who does not have it."""
    frames = _frames(match)
    module = match.groupdict().get("module") or ""
    last = frames[-1] if frames else None
    other = next((name for name in reversed(frames) if name != last), None)
    if not module and (known := _owner(facts, frames, match)):
        return next((name for name in reversed(frames) if name != known), None), known
    if not module and match[0].startswith("AttributeError") and other and not _through_getattr(match):
        return last, other  # the line that failed is the one that asks
    lacking = distribution(module) if module else last
    return next((name for name in reversed(frames) if name != lacking), None), lacking


def _member(match: re.Match[str]) -> str:
    """The member or the argument that a message speaks of, as the table of names has it; empty where it has none."""
    found = match.groupdict()
    if argument := _ARGUMENT.match(match.string, match.start()):
        return f"{argument['called'].removesuffix('.__init__')}({argument['argument']}"
    return f"{found['owner']}.{found['name']}" if found.get("owner") else ""


def _through_getattr(match: re.Match[str]) -> bool:
    """Whether the last frame is a lookup of the package that lacks the name."""
    lines = match.string[: match.start()].splitlines()
    frame = next((line for line in reversed(lines) if " line " in line and " in " in line), "")
    return "__getattr" in frame


@reads("name-vanished")
def _vanished(facts: Facts, match: re.Match[str]) -> Hit | None:
    name = match.groupdict().get("name") or match.groupdict().get("module") or ""
    asking, lacking = _sides(facts, match)
    if lacking is None or lacking in _OTHERS or "partially initialized" in match[0] or shadowed(match):
        return None
    if match.groupdict().get("owner") in _NO_CLASS:
        return None
    called = match[0].startswith("TypeError")
    if not match.groupdict().get("module") and (lacking in {"torch", "ray"} or (asking is None and not called)):
        return _of_a_class(facts, match, lacking) if "type object" in match[0] else None
    if asking is None and called:
        text = f"{facts.named(lacking)} and what it is built on are of different releases: {match[0]}"
        return Hit((facts.named(lacking),) if facts.installed(lacking) else (), text)
    who = facts.named(asking) if asking else "what imports it"
    lines = tuple(facts.named(one) for one in (asking, lacking) if one and facts.installed(one))
    way = f"takes other arguments of {name}() than {who} gives" if called else f"has no {name}, which {who} uses"
    title = f"{facts.named(lacking)} {way}"
    known = _history(lacking, match)
    module = match.groupdict().get("module") or ""
    told = () if known is None else (known.text, *moved(lacking, module, name, facts.version(lacking)))
    return Hit((*lines, *told, *_ages(facts, asking, lacking)), title, remedy=_remedy(facts, asking, lacking, known))


def _of_a_class(facts: Facts, match: re.Match[str], asking: str) -> Hit:
    """A member that a class does not have, where nothing tells whose class it is."""
    title = f"{facts.named(asking)} uses {match['owner']}.{match['name']}, which what it builds on does not have"
    return Hit((facts.named(asking),) if facts.installed(asking) else (), title)


def _history(lacking: str, match: re.Match[str]) -> History | None:
    module, name = match.groupdict().get("module") or "", match.groupdict().get("name") or ""
    if member := _member(match):
        return history(lacking, name=member)
    return history(lacking, module=module, name=name) if module else None


def _ages(facts: Facts, asking: str | None, lacking: str) -> Iterator[str]:
    """The days on which the releases came out, and what the asking one wants."""
    for name in (asking, lacking):
        row = release(name, facts.version(name)) if name else None
        if row and row.date:
            yield f"{name} {row.version} was released on {row.date}"
    wanted = _wanted(facts, asking, lacking)
    if wanted:
        yield f"{asking} asks for {lacking}{wanted}"


def _wanted(facts: Facts, asking: str | None, lacking: str) -> str | None:
    return asked(asking, facts.version(asking), lacking, markers_of(facts)) if asking else None


def _remedy(facts: Facts, asking: str | None, lacking: str, known: History | None) -> Remedy:
    """The release of the lacking package that was new when the asking one came out; else the nearest with the name."""
    suited = _suited(facts, asking, lacking)
    nearest = known.nearest(facts.version(lacking)) if known else None
    if nearest is not None and (suited is None or not _has(known, suited)):
        text = f"Take {lacking} {nearest}, the nearest release that has it, or another release of what asks for it."
        return remedy(facts.shell, text, Fix(install=(f"{lacking}=={nearest}",)), safe=False)
    if suited is None or asking is None:
        text = "Take releases of the two that belong together; a plan names a set that does."
        return Remedy(text, ("verl-env plan --stack vllm --explain",))
    text = f"Take {lacking} {suited}, the newest that was there when {facts.named(asking)} came out."
    return remedy(facts.shell, text, Fix(install=(f"{lacking}=={suited}",)), safe=False)


def _has(known: History | None, version: Version) -> bool:
    return known is not None and version.public in known.releases and known.nearest(version) is None


def _suited(facts: Facts, asking: str | None, lacking: str) -> Version | None:
    row = release(asking, facts.version(asking)) if asking else None
    if row is None or row.date is None:
        return None
    window = SpecifierSet(_wanted(facts, asking, lacking) or "")
    dated = ((version, one.date) for version, one in releases(lacking).items() if one.date)
    fitting = [version for version, day in dated if day <= row.date and window.contains(version)]
    have = facts.version(lacking)
    best = max(fitting, default=None)
    return None if best is None or (have is not None and best.public == have.public) else best
