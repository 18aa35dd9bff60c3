"""Version tables: TOML files beside this module, each row with its source, read once."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from packaging.version import Version


@functools.cache
def table(name: str) -> Mapping[str, Any]:
    """The contents of ``<name>.toml``."""
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))


def pinned(engine: str, release: Version, package: str) -> str | None:
    """The version of a package that a release of an engine pins; None for a release that is not in the table."""
    rows: Mapping[str, str] = table("engines").get(engine, {}).get(package, {})
    return next((version for window, version in rows.items() if SpecifierSet(window).contains(release.public)), None)
