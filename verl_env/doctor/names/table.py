"""The table of names: in which releases of a package a module, a name, a member or an argument was.

It is generated (``verl-env lock --names``) from the sources in the wheels of the index. It tells what went between the
releases that were read, and which modules and public names came; of what never changed, of members that came and
stayed, and of what no source shows (compiled modules, ``__getattr__``), it says nothing.
"""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.names.spans import parsed
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from verl_env.doctor.names.spans import Spans

FOLDER = Path(__file__).parent / "tables"
SCHEMA = 1


@record
class Surface:
    """What changed of one project's names.

    Attributes:
        project: Its canonical name.
        releases: The releases that were read, oldest first.
        spans: By key (``module``, ``module:name``, ``module:Class.member``, ``module:function(argument``) the places
            of the releases that have it.
        read: The day on which the newest of them were read.
        rules: What was read of each, as a mark.
    """

    project: str
    releases: tuple[str, ...] = ()
    spans: Mapping[str, Spans] = {}
    read: str = ""
    rules: str = ""


def projects() -> tuple[str, ...]:
    """The projects that are read."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.gz")))


@functools.lru_cache(maxsize=32)
def surface(project: str) -> Surface | None:
    """The table of a project; None for one that is not read."""
    try:
        text = gzip.decompress((FOLDER / f"{project}.gz").read_bytes()).decode()
    except OSError:
        return None
    head, releases, *lines = text.split("\n")
    _, schema, name, read, rules = head.split(" ")
    if int(schema) != SCHEMA:
        return None
    return Surface(name, tuple(releases.split(" ")), dict(_spans(lines)), read, rules)


def _spans(lines: list[str]) -> Iterator[tuple[str, Spans]]:
    spans: Spans = ()
    for line in lines:
        if line.startswith("="):
            spans = parsed(line[1:])
        elif line:
            module, *names = line.split(" ")
            for name in names:
                yield (module if name == "." else f"{module}:{name}"), spans
