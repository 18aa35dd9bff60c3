"""What verl does without a native component: what stops, and the options with which it trains all the same.

``without.toml`` in the folder of constraints is written by hand from verl's sources. It is read only where a component
is missing, so that it has no compiled form.
"""

from __future__ import annotations

import os
from functools import lru_cache

from verl_env.components.errors import ComponentInvalidError
from verl_env.constraints import constraints_folder, parse_toml
from verl_env.records import record
from verl_env.shapes import FieldError, many, shape, text, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE = "without.toml"
SCHEMA = 1


@record
class Without:
    """What a range of releases of verl (``">=0.4,<0.6"``) does without a component.

    ``stops`` is a clause (``"verl's default attention stops"``), empty where nothing does. ``options`` are overrides on
    verl's command line with which it trains without the component, ``critic`` what a critic needs besides; where they
    are empty, no option helps. ``seen`` says where that was seen to train; it is empty where only the source says so.
    ``part`` is the part of a stack whose verl needs the component (``"verl"``: every stack), empty where only a lockset
    that names it is looked at. ``imports`` are the packages that the component imports, ``by`` those that the options
    take in its place: where one is absent, the component is not there either, or no option helps.
    """

    component: str
    verl: str
    stops: str
    source: str
    options: tuple[str, ...] = ()
    critic: tuple[str, ...] = ()
    seen: str = ""
    part: str = ""
    imports: tuple[str, ...] = ()
    by: tuple[str, ...] = ()


def _clause(value: object) -> str:
    """A string, which may be empty."""
    return value if value == "" else text(value)


_row = shape(
    Without,
    {"component": text, "verl": text, "stops": _clause, "source": text},
    {
        **dict.fromkeys(("options", "critic", "imports", "by"), (texts, ())),
        **dict.fromkeys(("seen", "part"), (text, "")),
    },
)


def without(component: str, verl: str, root: Path | None = None) -> Without | None:
    """What a release of verl does without a component; None where nobody looked, or where it is no release.

    Args:
        component: The name of the component.
        verl: The release, such as ``0.4.1``; a branch has no row.
        root: The folder of constraints; None for that of ``constraints_folder``.

    Raises:
        ComponentInvalidError: the table cannot be read.
    """
    rows = [row for row in _rows(root) if row.component == component]
    return next((row for row in rows if _includes(row.verl, verl)), None)


def needed(verl: str, parts: Sequence[str], root: Path | None = None) -> tuple[Without, ...]:
    """The rows of what a release of verl needs for the parts of a stack, whatever a lockset names.

    Args:
        verl: The release.
        parts: The parts of the stack, such as ``megatron``.
        root: The folder of constraints; None for that of ``constraints_folder``.

    Raises:
        ComponentInvalidError: the table cannot be read.
    """
    rows = [row for row in _rows(root) if row.stops and row.part in ("verl", *parts)]
    return tuple(row for row in rows if _includes(row.verl, verl))


def _rows(root: Path | None) -> tuple[Without, ...]:
    folder = constraints_folder() if root is None else str(root)
    return rows_of(os.path.join(folder, FILE))  # noqa: PTH118


@record
class _Table:
    schema: str
    rows: tuple[Without, ...]


def _schema(value: object) -> str:
    if value == SCHEMA:
        return str(value)
    raise FieldError(f"must be {SCHEMA}, not {value!r}")


_table = shape(_Table, {"schema": _schema, "rows": many(_row)})


@lru_cache(maxsize=4)
def rows_of(file: str) -> tuple[Without, ...]:
    """Every row of a table; none where there is no table.

    Raises:
        ComponentInvalidError: it cannot be read.
    """
    try:
        return _table(parse_toml(file)).rows
    except FileNotFoundError:
        return ()
    except FieldError as error:
        raise ComponentInvalidError(file, error.key, error.reason) from None
    except (OSError, ValueError) as error:
        raise ComponentInvalidError(file, "", str(error)) from error


def _includes(specifier: str, release: str) -> bool:
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415  only where a component is missing
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        return SpecifierSet(specifier).contains(Version(release), prereleases=True)
    except InvalidVersion:
        return False
