"""Headers that a build from source does not find, and what brings them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verl_env.command_line import quoted
from verl_env.doctor.checks.functions import reads
from verl_env.doctor.model import Hit, Remedy
from verl_env.doctor.tables import origin

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from verl_env.doctor.facts import Facts


@reads("header-missing")
def _missing(facts: Facts, match: re.Match[str]) -> Hit | None:
    header = match["header"]
    row = origin("headers", header)
    if row is None and "/" not in header:
        return None
    if row is None:
        text = "Find the package that has it and install it; a header of the project's own is in a submodule."
        search = (f"apt-file search {header}", f"dnf provides '*/{header}'")
        return Hit((), f"{header} is not there", remedy=Remedy(text, search))
    cause = f"It is of {row['what']}, whose headers are not installed, or not where the compiler looks."
    return Hit((), f"{header} is not there", cause, _remedy(facts, row, header))


def _remedy(facts: Facts, row: Mapping[str, Any], header: str) -> Remedy:
    wheels = facts.target.site.glob(f"nvidia/*/include/{header}") if facts.target else ()
    found = next(iter(sorted(wheels)), None)
    if found is not None:
        include = str(found)[: -len(header) - 1]
        text = "A wheel of the environment has it: name its directory to the compiler."
        return Remedy(text, (f'export CPATH={quoted(include)}"${{CPATH:+:$CPATH}}"',))
    release = f" cuda-version={facts.cuda}" if facts.cuda else ""
    conda = (f"conda install -c nvidia {row['conda']}{release}",) if "conda" in row else ()
    return Remedy(f"Bring {row['what']}; the command depends on the system.", (*row.get("commands", ()), *conda))
