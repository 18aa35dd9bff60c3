"""Checks that only read logs, as data: ``<theme>.toml`` beside this module, a table for each check.

Keys are those of ``Check``; ``remedy`` is a text, ``commands`` its commands. Where a pattern has named groups, texts
may use them: ``"{library} is not there"``. ``says`` holds lines that the check must name, ``silent`` lines that it must
not: tests read them, so that a family needs no Python at all. ``late`` says how far down a chain of failures the line
comes (0, the default: a cause; 3: what ends a process): a family explains every one that comes later. Where the line
ends a traceback, the frame that raised it is evidence, and texts may name its ``{package}``.
"""

from __future__ import annotations

import functools
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

from verl_env.constraints import parse_toml
from verl_env.doctor.checks.frames import raised_in
from verl_env.doctor.model import Check, Hit, Remedy
from verl_env.doctor.releases.known import known_of

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

    from verl_env.doctor.facts import Facts

FOLDER = Path(__file__).parent


@functools.cache
def rows() -> Mapping[str, Mapping[str, Any]]:
    """Every family by its id, with ``theme`` from the name of its file."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in sorted(FOLDER.glob("*.toml")):
        found |= {name: {"theme": file.stem, **row} for name, row in parse_toml(file).items()}
    return found


def checks() -> tuple[Check, ...]:
    """A check for every family."""
    return tuple(_check(name, row) for name, row in rows().items())


def _check(name: str, row: Mapping[str, Any]) -> Check:
    patterns = tuple(row["log"])
    return Check(
        id=name,
        theme=row["theme"],
        severity=row.get("severity", "error"),
        title=row["title"],
        cause=row["cause"],
        remedy=Remedy(row["remedy"], tuple(row.get("commands", ()))),
        covers=tuple(row.get("covers", ())),
        sources=tuple(row["sources"]),
        log=patterns,
        from_log=_reader(row),
        explains=(*row.get("explains", ()), *_later(row.get("late", 0))),
        general=True,
    )


def _later(level: int) -> tuple[str, ...]:
    """The families whose lines come later than those of a level."""
    return tuple(name for name, row in rows().items() if row.get("late", 0) > level)


def _reader(row: Mapping[str, Any]) -> Callable[[Facts, re.Match[str]], Hit | None]:
    """Words a hit by the groups of its match."""

    def read(facts: Facts, match: re.Match[str]) -> Hit | None:
        if any(word in match.string for word in row.get("unless", ())):
            return None
        frame = raised_in(match)
        package = frame.package if frame else None
        said = {name: value.strip() for name, value in match.groupdict().items() if value}
        said.setdefault("package", facts.named(package) if package else "a program")
        title = row.get("says_title") or ""
        told = title and all(name in said for _, name, _, _ in Formatter().parse(title) if name)
        evidence = (f"at {frame}", *known_of(package, facts)) if frame else ()
        return Hit(evidence, title.format(**said) if told else None)

    return read
