"""Wheels whose own RECORD does not fit their files: what is so from the start is no damage.

    misrecorded.json                             published wheels that were seen to be so, with the digest of each
    $XDG_STATE_HOME/verl-env/misrecorded.json    what this user's installations found (~/.local/state)

Found is what is still so after a wheel was fetched past every cache, under its locked hash.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.files import replace_bytes
from verl_env.places import user_directory
from verl_env.reading import json_of, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from verl_env.environment.damage import Spoiled
    from verl_env.environment.installed import Distribution

SCHEMA = 1
PUBLISHED = Path(__file__).with_suffix(".json")


def own_file(env: Mapping[str, str] = os.environ) -> Path:
    """The file of this user."""
    return user_directory("XDG_STATE_HOME", env) / "verl-env" / "misrecorded.json"


def known_misrecorded(have: Mapping[str, Distribution]) -> dict[str, dict[str, int | None]]:
    """The files of distributions that are not as their RECORDs say and came so, by name, with sizes in bytes."""
    found: dict[str, dict[str, int | None]] = {}
    for wheels in map(_read, _files()):
        for name, each in have.items():
            found.setdefault(name, {}).update(wheels.get(f"{name}=={each.version}", {}))
    return found


def remember_misrecorded(have: Mapping[str, Distribution], spoiled: Iterable[Spoiled]) -> None:
    """Keeps for this user what came otherwise than its RECORD says; where nothing can be written, nothing is kept."""
    new = {f"{each.name}=={have[each.name].version}": dict(each.files) for each in spoiled if each.files}
    if not new:
        return
    with contextlib.suppress(OSError, RuntimeError):
        file = own_file()
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        wheels = {name: {"files": files} for name, files in (_read(file) | new).items()}
        replace_bytes(file, json.dumps({"schema": SCHEMA, "wheels": wheels}, indent=1).encode())


def _files() -> Iterable[Path]:
    yield PUBLISHED
    with contextlib.suppress(RuntimeError):
        yield own_file()


def _read(file: Path) -> dict[str, dict[str, int | None]]:
    try:
        data = json_of(read_bytes(file))
        if data["schema"] != SCHEMA:
            return {}
        return {name: dict(each["files"]) for name, each in data["wheels"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
