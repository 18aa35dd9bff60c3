"""What uv and pip say of a resolution: what they would install, and why they cannot.

The texts are those of uv 0.9 to 0.13 (``uv pip install --dry-run``) and the report of pip 25.3 to 26.3
(``pip install --dry-run --report``), of which the second is documented and the first is not.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.additions.model import Cause, ResolvedPackage
from verl_env.environment.installed import normalise
from verl_env.reading import json_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

#: ``name==1.0``, ``name==1.0 (from ADDRESS)``, and where uv has only looked ``name @ ADDRESS``.
_ADDED = re.compile(r"^ \+ ([A-Za-z0-9._-]+)(?:==(\S+)(?: \(from (.+)\))?| @ (.+))$", re.MULTILINE)
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}(?:\[[^\]]{0,200}\])?"
_RANGE = r"(?:[<>=!~]=?\S{1,200})"
_UV_NEEDS = re.compile(
    rf"(?<![\w.-])((?:all versions of |only )?{_NAME}{_RANGE}?) depends? on"
    rf" ({_NAME})(?:\{{[^}}]{{0,200}}\}})?({_RANGE})"
)
_PIP_NEEDS = re.compile(rf"^[ \t]+({_NAME}) (\S+) depends on ({_NAME}) ?({_RANGE}(?:, ?{_RANGE})*)", re.MULTILINE)


def uv_found(output: str, editable: Sequence[str]) -> tuple[ResolvedPackage, ...]:
    """What uv would install; ``editable`` are the directories that were asked for in place."""
    places = {Path(place).as_uri() for place in editable}
    return tuple(
        ResolvedPackage(normalise(name), version, source or address or None, editable=(source or address) in places)
        for name, version, source, address in _ADDED.findall(output)
    )


def pip_found(report: bytes) -> tuple[ResolvedPackage, ...]:
    """What pip would install, by its report.

    Raises:
        ValueError: it is no report.
    """
    try:
        return tuple(map(_found, json_of(report)["install"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"pip's report lacks {error}") from error


def causes(output: str, pins: Mapping[str, str]) -> tuple[Cause, ...]:
    """What needs which version of a pinned package, as either resolver says it."""
    said = [(f"{by} {version}", name, wants) for by, version, name, wants in _PIP_NEEDS.findall(output)]
    said = said or _UV_NEEDS.findall(re.sub(r"\s+", " ", output))
    found = {}
    for by, name, wants in said:
        package = normalise(name.partition("[")[0])
        if package in pins:
            who = by.replace("all versions of", "every version of")
            needs = f"{package}{wants.rstrip(',.;')}".replace(" ", "")
            found[who, package] = Cause(package, pins[package], who, needs)
    return tuple(found.values())


def reasons(output: str) -> list[str]:
    """The lines of a failed resolution that say why, without what was done before and what is advised after."""
    lines = [line.strip() for line in output.splitlines()]
    dropped = (
        r"(Using Python|Looking in|Processing|Requirement already|INFO:|Collecting|Downloading|Using cached|\[|WARN)"
    )
    return [line for line in lines if line and not re.match(dropped, line)][:12]


def _found(item: dict[str, Any]) -> ResolvedPackage:
    metadata, info = item["metadata"], item["download_info"]
    name, version = normalise(metadata["name"]), str(metadata["version"])
    if not item.get("is_direct"):
        return ResolvedPackage(name, version)
    address = str(info["url"])
    if "vcs_info" in info:
        address = f"{info['vcs_info']['vcs']}+{address}@{info['vcs_info']['commit_id']}"
    return ResolvedPackage(name, version, address, editable=bool(info.get("dir_info", {}).get("editable")))
