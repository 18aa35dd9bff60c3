"""Checks from their tables: ``<theme>.toml`` beside this module, ``families/`` for kinds of failures.

A table has the name of its check. Its keys:

``title``, ``cause``, ``sources``, ``read``
    As in ``Check``; ``severity`` ("error" unless stated), ``covers`` and ``explains`` too. ``read`` is the day on which
    the sources were read, ``2026-11-28``.
``remedy``, ``commands``
    What to do, in words and as commands, where ``{driver}`` is the machine's. ``install`` and ``uninstall`` name
    packages instead: the commands are those of the environment's installer, with the lockset's versions;
    ``build = true`` compiles against its torch, ``safe = false`` keeps ``--fix`` away. Left out where a function
    words it.
``log``
    Patterns, each searched for in the log. ``log_of`` names a check whose patterns these are. A line that holds one of
    ``unless`` is none. ``within`` is a pattern that a frame of the traceback must hold (``path in function``): what was
    being done when it failed. ``says_title`` is the title with the words of the named groups:
    ``"{library} is not there"``; ``package`` there is that of the frame which raised, and ``beside`` names packages
    whose versions are evidence.
``when``
    Tables of facts; the first that holds is found. ``packages`` maps names to ranges (``"*"``: any), ``variables``
    names to patterns of whole values; ``severity`` is that of this finding, ``beside`` as above.
``general``, ``late``
    Families are ``general``: a check that names the failure goes before them. ``late`` says how far down a chain of
    failures the line comes (0, unless stated: a cause; 3: what ends a process): a family explains those that are later.
``turn``
    When it is asked and shown: 0, unless stated, with its theme; 1 what comes late; 2 families; 3 after all.
``says``, ``silent``
    Lines that the check must name, and lines that it must not: tests read them.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING, Any

from verl_env.doctor.check import Check
from verl_env.doctor.checks.frames import frames_of, raised_in
from verl_env.doctor.checks.functions import FINDS, MENDS, READS
from verl_env.doctor.commands import remedy
from verl_env.doctor.compile_checks import rows
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.doctor.releases.known import known_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from verl_env.doctor.facts import Facts

    Row = Mapping[str, Any]


def declared() -> tuple[Check, ...]:
    """Every check, in the order in which they are asked."""
    return tuple(_check(name, row) for name, row in rows().items())


def _check(name: str, row: Row) -> Check:
    return Check(
        id=name,
        theme=row["theme"],
        severity=row.get("severity", "error"),
        title=row["title"],
        cause=row["cause"],
        remedy=MENDS.get(name) or _remedy(row),
        covers=tuple(row.get("covers", ())),
        sources=tuple(row["sources"]),
        read=row["read"],
        find=FINDS.get(name) or (_finder(row) if "when" in row else None),
        log=tuple(row.get("log") or rows().get(row.get("log_of", ""), {}).get("log", ())),
        from_log=READS.get(name) or (_reader(row) if row.keys() & {"general", "says_title", "unless"} else None),
        explains=(*row.get("explains", ()), *(_later(row["late"]) if "late" in row else ())),
        general=row.get("general", False),
    )


def _later(level: int) -> tuple[str, ...]:
    """The families whose lines come later than those of a level."""
    return tuple(name for name, row in rows().items() if row.get("late", 0) > level)


def _remedy(row: Row) -> Remedy | Callable[[Facts], Remedy]:
    gone, wanted = tuple(row.get("uninstall", ())), tuple(row.get("install", ()))
    commands = tuple(row.get("commands", ()))
    if any("{driver}" in line for line in commands):
        return lambda facts: Remedy(row["remedy"], tuple(_for_driver(line, facts) for line in commands))
    if not gone and not wanted:
        return Remedy(row["remedy"], commands)
    fix = Fix(gone, wanted, reinstall=row.get("reinstall", False), build=row.get("build", False))
    return lambda facts: remedy(facts.shell, row["remedy"], fix, safe=row.get("safe", True))


def _for_driver(command: str, facts: Facts) -> str:
    return command.replace("{driver}", facts.driver or "VERSION")


def _finder(row: Row) -> Callable[[Facts], Hit | None]:
    """Finds the first of the tables of facts that holds."""
    return lambda facts: next((hit for when in row["when"] if (hit := _held(facts, when))), None)


def _held(facts: Facts, when: Row) -> Hit | None:
    packages, variables = when.get("packages", {}), when.get("variables", {})
    for name, wanted in packages.items():
        if not (facts.installed(name) if wanted == "*" else facts.matches(name, wanted)):
            return None
    for name, pattern in variables.items():
        if not re.fullmatch(pattern, facts.variable(name) or ""):
            return None
    values = (f"{name}={facts.variable(name)}" for name in variables)
    return Hit((*values, *facts.versions(*packages, *when.get("beside", ()))), severity=when.get("severity"))


def _reader(row: Row) -> Callable[[Facts, re.Match[str]], Hit | None]:
    """Words a hit by the groups of its match."""

    def read(facts: Facts, match: re.Match[str]) -> Hit | None:
        if any(word in match.string for word in row.get("unless", ())) or not _done(row, match):
            return None
        frame = raised_in(match) if row.get("general") else None
        package = frame.package if frame else None
        said = {name: value.strip() for name, value in match.groupdict().items() if value}
        said.setdefault("package", facts.named(package) if package else "a program")
        title = row.get("says_title") or ""
        told = title and all(name in said for _, name, _, _ in Formatter().parse(title) if name)
        evidence = (f"at {frame}", *known_of(package, facts)) if frame else ()
        return Hit((*evidence, *facts.versions(*row.get("beside", ()))), title.format(**said) if told else None)

    return read


def _done(row: Row, match: re.Match[str]) -> bool:
    """Whether the traceback that a match ends shows what a check is about."""
    within = row.get("within")
    return not within or any(re.search(within, f"{frame.path} in {frame.name}") for frame in frames_of(match))
