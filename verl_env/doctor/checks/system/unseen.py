"""What could not be looked at: "healthy" is said of what was seen, and of nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env import reading
from verl_env.doctor.checks.functions import finds
from verl_env.doctor.model import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.target import InspectedEnvironment

_SHOWN = 6
#: Who always writes a RECORD.
_RECORDING = ("pip", "uv")


@finds("not-looked")
def _unseen(facts: Facts) -> Hit | None:
    """Files that are there and could not be read, and packages whose files nobody lists; asked last."""
    if facts.target is None:
        return None
    found = [*_unreadable(facts.target), *_unlisted(facts.target)]
    more = (f"and {len(found) - _SHOWN} more",) if len(found) > _SHOWN else ()
    return Hit((*found[:_SHOWN], *more)) if found else None


def _unreadable(target: InspectedEnvironment) -> Iterator[str]:
    """What the checks before this one came across."""
    if reason := _closed(target):
        yield reason
    yield from (f"{target.relative(path)}: {reason}" for path, reason in sorted(reading.unread().items()))


def _closed(target: InspectedEnvironment) -> str | None:
    """Why its directory of packages cannot be listed."""
    try:
        for site in target.site_paths:
            os.scandir(site).close()
    except OSError as error:
        return f"{target.relative(str(error.filename))}: {error.strerror}"
    return None


def _unlisted(target: InspectedEnvironment) -> Iterator[str]:
    """Packages without a version, or without the RECORD that their installer writes."""
    for owned in target.records:
        one = owned.distribution
        if not one.path.endswith(".dist-info") or one.path in reading.unread():
            continue
        if one.version is None:
            yield f"{target.relative(one.path)}: its METADATA states no version"
        elif not owned.entries and one.installer in _RECORDING and str(one.record) not in reading.unread():
            yield f"{target.relative(str(one.record))}: lists no file"
