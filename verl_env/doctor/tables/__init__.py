"""Version tables: TOML files beside this module, each row with its source, read once."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from verl_env.constraints import parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from packaging.version import Version


@functools.cache
def table(name: str) -> Mapping[str, Any]:
    """The contents of ``<name>.toml``."""
    return parse_toml(Path(__file__).parent / f"{name}.toml")


def pinned(engine: str, release: Version, package: str) -> str | None:
    """The version of a package that a release of an engine pins; None for a release that is not in the table."""
    rows: Mapping[str, str] = table("engines").get(engine, {}).get(package, {})
    return next((version for window, version in rows.items() if SpecifierSet(window).contains(release.public)), None)
