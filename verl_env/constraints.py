"""Where the data is: locksets and the catalogue of native components, under one folder ``constraints``."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

#: Points at another folder of locksets and components.
VARIABLE = "VERL_ENV_CONSTRAINTS"


def constraints_directory() -> Path:
    """``constraints_folder`` as a path."""
    from pathlib import Path  # noqa: PLC0415 it takes 3 ms, and a plan needs none

    return Path(constraints_folder())


def constraints_folder() -> str:
    """Where the data is: the variable's folder, the installed package's, or the checkout's."""
    if chosen := os.environ.get(VARIABLE):
        return chosen
    package = os.path.dirname(__file__)  # noqa: PTH120 as above
    inside = os.path.join(package, "constraints")  # noqa: PTH118
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "constraints")  # noqa: PTH112, PTH118, PTH120


def read_bytes(file: str | Path) -> bytes:
    """The contents of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(file, "rb") as stream:  # noqa: PTH123 as above
        return stream.read()


def parse_toml(file: str | Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no TOML.
    """
    return toml_of(read_bytes(file).decode())


def toml_of(text: str) -> dict[str, Any]:
    """Decoded TOML.

    Raises:
        ValueError: it is none, or nested too deep.
    """
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 its import alone takes 10 ms
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
