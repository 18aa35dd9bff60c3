"""Any shared library that the loader does not find: whose it is, and what asks for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import reads
from verl_env.doctor.model import Hit, Remedy
from verl_env.doctor.tables import origin

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_OWNER = re.compile(r"(?:site|dist)-packages/(?P<top>[\w-]+?)(?:\.libs)?[/.]")
_TOLD = "Look which package brings it, install that, and see that the loader finds it."


@reads("library-missing")
def _missing(_: Facts, match: re.Match[str]) -> Hit | None:
    library = match["library"]
    name = library.rpartition("/")[2]
    row = origin("libraries", name.partition(".so")[0])
    by = _asking(match)
    cause = f"It is of {row['what']}." if row else "Nothing on the loader's path has it."
    title = f"{name} is not found by the loader"
    commands = tuple(row.get("commands", ())) if row else (f"ldconfig -p | grep {name.partition('.so')[0]}",)
    text = f"Bring {row['what']}, and see that the loader finds it." if row else _TOLD
    return Hit((f"{by} asks for it",) if by else (), title, cause, Remedy(text, commands))


def _asking(match: re.Match[str]) -> str | None:
    """The package whose file asked for the library: that of the last frame before the message."""
    before = match.string[max(0, match.start() - 4000) : match.start()]
    owners = [found["top"] for found in _OWNER.finditer(before[before.rfind("Traceback (most recent") + 1 :])]
    return owners[-1] if owners else None
