"""Remedies for an environment that has a lockset: each brings back what the lockset says, by verl-env's own writer.

Checks word their remedies for any environment: remove this, install that. Where a lockset says what belongs there,
such a sequence may leave a package out (the second command is refused by the pins) or put another version in. So the
commands are read here, in one place, and said anew: what the lockset has is brought back as it has it, native
components by the choice of wheel that an installation makes; what it does not have goes through ``verl-env pip``.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from verl_env.command_line import command
from verl_env.doctor.model import Fix, Remedy
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.doctor.facts import Facts

_PIP = re.compile(r"(?:uv pip|(?:\S+ -m )?pip3?) (install|uninstall)\b")
#: Options that take a value, and those that another writer has no use for.
_VALUED = frozenset(
    "--python -p -c --constraint -r --requirement -i --index-url --extra-index-url -f --find-links".split()  # noqa: SIM905
)
_NEEDLESS = frozenset("-y -q --reinstall --force-reinstall --no-cache --no-cache-dir --no-deps -U --upgrade".split())  # noqa: SIM905


@record
class PackageCommand:
    """A command of pip or uv that installs or removes packages; ``alone`` says that it lets no others change."""

    verb: str
    options: tuple[str, ...]
    subjects: tuple[str, ...]
    alone: bool = True


def package_command(line: str) -> PackageCommand | None:
    """What a command of pip or uv changes; None where it is another command."""
    if _PIP.match(line) is None:
        return None
    words = shlex.split(line)
    verb = next(word for word in words if word in {"install", "uninstall"})
    options: list[str] = []
    subjects: list[str] = []
    rest = iter(words[words.index(verb) + 1 :])
    for word in rest:
        if word in _VALUED:
            value = next(rest, "")
            options += [] if word in {"--python", "-p"} else [word, value]
        elif word.startswith("-"):
            options += [] if word in _NEEDLESS else [word]
        else:
            subjects.append(word)
    return PackageCommand(verb, tuple(options), tuple(subjects), verb == "uninstall" or "--no-deps" in words)


@dataclass(slots=True)
class _Sorted:
    """The packages of a remedy's commands by what becomes of them."""

    restore: dict[str, None] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    unwanted: set[str] = field(default_factory=set)
    unfit: set[str] = field(default_factory=set)
    others: list[str] = field(default_factory=list)


def for_lockset(remedy: Remedy, facts: Facts) -> Remedy:
    """A remedy as it is for this environment; unchanged where it has no lockset or changes no package."""
    if not (facts.locked or facts.natives) or not any(map(package_command, remedy.commands)):
        return remedy
    found = _sorted(remedy, facts)
    against = [name for name in (*found.unfit, *found.unwanted) if _as_locked(facts, name)]
    if against:
        return _another_lockset(remedy, facts, sorted(set(against)))
    again = {name: text for name, text in found.added.items() if name in found.gone}
    # What was to come in the place of a package that the lockset has is not wanted beside it.
    fresh = [] if found.unwanted else [text for name, text in found.added.items() if name not in again]
    gone = tuple(name for name in found.gone if name not in again)
    fix = Fix(uninstall=gone, install=tuple(again.values()), restore=tuple(found.restore), reinstall=True)
    mends = bool(fix.restore or fix.install or fix.uninstall)
    commands = [command("doctor", "--fix", *_into(facts))] if mends else []
    commands += [command("pip", *_into(facts), "install", *fresh)] if fresh else []
    return Remedy(_text(remedy, facts, fix), (*commands, *found.others), fix if mends else None)


def _sorted(remedy: Remedy, facts: Facts) -> _Sorted:
    found = _Sorted()
    removed: set[str] = set()
    for line in remedy.commands:
        parsed = package_command(line)
        if parsed is None:
            found.others.append(line)
        elif parsed.verb == "uninstall":
            names = set(map(canonicalize_name, parsed.subjects))
            removed |= {name for name in names if _belongs(facts, name)}
            found.gone |= dict.fromkeys(n for n in sorted(names) if not _belongs(facts, n) and not facts.absent(n))
        else:
            found.others += _install(parsed, facts, found)
            if not parsed.alone and found.restore:
                found.restore |= dict.fromkeys(_drifted(facts))
    found.unwanted = removed - found.restore.keys()
    found.restore |= dict.fromkeys(sorted(removed))
    return found


def _install(parsed: PackageCommand, facts: Facts, found: _Sorted) -> Iterator[str]:
    """Enters the packages of an install command; yields a command for what is a path or an address."""
    places = []
    for subject in parsed.subjects:
        try:
            requirement = Requirement(subject)
        except InvalidRequirement:
            places.append(subject)
            continue
        name = canonicalize_name(requirement.name)
        if _belongs(facts, name):
            found.restore[name] = None
            pin = facts.locked.get(name)
            if pin is not None and not requirement.specifier.contains(pin, prereleases=True):
                found.unfit.add(name)
        else:
            found.added[name] = subject
    if places:
        yield command("pip", *_into(facts), "install", *parsed.options, *places)


def _drifted(facts: Facts) -> Iterator[str]:
    """What came along when a package was replaced with its dependencies; what was moved knowingly apart."""
    for name, pin in facts.locked.items():
        there = facts.packages.get(name)
        if there and not facts.matches(name, f"=={pin}") and facts.moved.get(name) != there:
            yield name


def _belongs(facts: Facts, name: str) -> bool:
    return name in facts.locked or name in facts.natives


def _as_locked(facts: Facts, name: str) -> bool:
    """Whether a package is there once, in the version of the lockset: to bring it back changes nothing."""
    return name in facts.locked and name not in facts.duplicates and facts.matches(name, f"=={facts.locked[name]}")


def _another_lockset(remedy: Remedy, facts: Facts, names: list[str]) -> Remedy:
    """What contradicts the lockset itself cannot be had in its environment."""
    pins = ", ".join(f"{name} {facts.locked[name]}" for name in names)
    text = f"Lockset {facts.lockset} itself has {pins}, and its pins stay: take another lockset."
    rest = tuple(line for line in remedy.commands if package_command(line) is None)
    return Remedy(text, (*rest, command("stacks")))


def _text(remedy: Remedy, facts: Facts, fix: Fix) -> str:
    parts = []
    if fix.restore:
        named = ", ".join(f"{name} {facts.locked[name]}" if name in facts.locked else name for name in fix.restore)
        parts.append(f"bring back {named} as lockset {facts.lockset} has it")
    if fix.install:
        parts.append(f"install {', '.join(fix.install)} anew")
    if fix.uninstall:
        parts.append(f"take out {', '.join(fix.uninstall)}")
    if not parts:
        return remedy.text
    text = ", and ".join(parts)
    return f"{text[0].upper()}{text[1:]}; all at once, and only where that mends it."


def _into(facts: Facts) -> tuple[str, ...]:
    return () if facts.target is None else ("--into", str(facts.target.prefix))
