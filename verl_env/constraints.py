"""Where the data is: locksets and the catalogue of native components, under one folder ``constraints``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Points at another folder of locksets and components.
VARIABLE = "VERL_ENV_CONSTRAINTS"


def constraints_directory() -> Path:
    """Where the data is: the variable's folder, the installed package's, or the checkout's."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    package = Path(__file__).parent
    inside = package / "constraints"
    return inside if inside.is_dir() else package.parent / "constraints"


def parse_toml(file: Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 its import alone takes 10 ms
    else:
        import tomli as tomllib  # noqa: PLC0415
    return tomllib.loads(file.read_bytes().decode())
