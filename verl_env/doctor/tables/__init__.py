"""Version tables: TOML files beside this module, each row with its source, read once.

What releases of the engines pin is not among them: that is generated (``verl_env.doctor.releases``).
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.constraints import parse_toml
from verl_env.doctor.releases.table import asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from packaging.version import Version


@functools.cache
def table(name: str) -> Mapping[str, Any]:
    """The contents of ``<name>.toml``."""
    return parse_toml(Path(__file__).parent / f"{name}.toml")


def origin(kind: str, name: str) -> Mapping[str, Any] | None:
    """What brings a file, by the rows of a table such as ``[[header]]``; None for a name that no row has."""
    rows: Sequence[Mapping[str, Any]] = table(kind)["origin"]
    return next((row for row in rows if re.fullmatch(row["name"], name)), None)


def pinned(engine: str, release: Version, package: str) -> str | None:
    """The version of a package that a release of an engine pins exactly; None where it pins none or is not known."""
    specifier = asked(engine, release, package, {})
    exact = specifier.removeprefix("==") if specifier and specifier.startswith("==") else ""
    return exact if exact and "," not in exact and "*" not in exact else None
