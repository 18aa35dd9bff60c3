"""Recipes: the hand-written inputs of a lockset.

``recipe.toml`` holds every key that lockset.toml has except ``pythons``, and besides them the steps of the image in
their order, the date as of which they are replayed, and what the replay must be told: requirements of source
distributions, overrides, components that no index brings, and the reason of each requirement that stays unmet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from verl_env.locksets.errors import LocksetInvalidError
from verl_env.locksets.load import IDENTITY, IDENTITY_OPTIONAL, NOTHING, SCHEMA, read_toml
from verl_env.locksets.shapes import FieldError, flag, many, number, shape, text, texts, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.locksets.shapes import Decoder

FILE = "recipe.toml"


@dataclass(frozen=True, slots=True)
class Virtual:
    """A component that the image has and no index brings: a native build, a wheel by address.

    It takes its place in the replayed environment, so that later steps see it, and never enters the lock.
    """

    name: str
    version: str
    requires: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the image, or one of our own (then ``title`` says so).

    ``install`` is written as in the Dockerfile; what ``unquoted`` lists of it stood without quotes in the shell, which
    took ``>`` for a redirection, so that only the bare name was installed.
    """

    title: str
    install: tuple[str, ...]
    unquoted: tuple[str, ...]
    uninstall: tuple[str, ...]
    virtual: tuple[Virtual, ...]
    upgrade: bool
    no_deps: bool
    find_links: tuple[str, ...]
    index_url: str | None
    date: str | None


@dataclass(frozen=True, slots=True)
class Sdist:
    """A release that the index has as source only; its requirements are stated, so that its code never runs."""

    name: str
    version: str
    requires: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Override:
    """A requirement that replaces every other one on the same package."""

    requirement: str
    reason: str


@dataclass(frozen=True, slots=True)
class Exclude:
    """A package that is left out wherever it is required."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class PackageDate:
    """Another date for one package."""

    name: str
    date: str
    reason: str


@dataclass(frozen=True, slots=True)
class UnmetReason:
    """Why a requirement of ``package`` on ``requires`` (a name) stays unmet."""

    package: str
    requires: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """The inputs of one lockset.

    ``identity`` is what lockset.toml takes over as it is. ``glibc`` is that of the image: it says which wheels the
    image took.
    """

    id: str
    file: Path
    identity: Mapping[str, Any]
    arch: str
    glibc: str
    date: str
    pythons: tuple[str, ...]
    steps: tuple[Step, ...]
    sdists: tuple[Sdist, ...] = ()
    overrides: tuple[Override, ...] = ()
    excludes: tuple[Exclude, ...] = ()
    prereleases: tuple[str, ...] = ()
    dates: tuple[PackageDate, ...] = ()
    unmet: tuple[UnmetReason, ...] = ()
    glibc_minimum: str | None = field(default=None)


_virtual = shape(Virtual, {"name": text, "version": text}, {"requires": (texts, NOTHING)})
_step = shape(
    Step,
    {"title": text},
    {
        "install": (texts, NOTHING),
        "unquoted": (texts, NOTHING),
        "uninstall": (texts, NOTHING),
        "virtual": (many(_virtual), NOTHING),
        "upgrade": (flag, False),
        "no_deps": (flag, False),
        "find_links": (texts, NOTHING),
        "index_url": (text, None),
        "date": (timestamp, None),
    },
)
_replay = {
    "date": timestamp,
    "glibc": number,
    "pythons": many(number),
    "steps": many(_step),
}
_replay_optional = {
    "include": (texts, NOTHING),
    "sdists": (many(shape(Sdist, {"name": text, "version": text}, {"requires": (texts, NOTHING)})), NOTHING),
    "overrides": (many(shape(Override, {"requirement": text, "reason": text})), NOTHING),
    "excludes": (many(shape(Exclude, {"name": text, "reason": text})), NOTHING),
    "prereleases": (texts, NOTHING),
    "dates": (many(shape(PackageDate, {"name": text, "date": timestamp, "reason": text})), NOTHING),
    "unmet": (many(shape(UnmetReason, {"package": text, "requires": text, "reason": text})), NOTHING),
}
_recipe: Decoder[dict[str, Any]] = shape(dict, {**IDENTITY, **_replay}, {**IDENTITY_OPTIONAL, **_replay_optional})


def recipe_files(root: Path) -> tuple[Path, ...]:
    """Every recipe.toml under a directory of locksets, by id."""
    return tuple(sorted(root.glob(f"*/*/{FILE}")))


def load_recipe(file: Path) -> Recipe:
    """The recipe of one recipe.toml.

    Raises:
        LocksetInvalidError: a key is missing, unknown or of the wrong form, here or in an included file.
    """
    table = read_toml(file)
    fields: dict[str, Any] = _decode(_recipe, table, file)
    folder = "/".join(file.parts[-3:-1])
    if fields["id"] != folder:
        raise LocksetInvalidError(file, "id", f"must be its folder, {folder}, not {fields['id']}")
    if len(fields["requires"].arch) != 1:
        raise LocksetInvalidError(file, "requires.arch", "must be one architecture: each has locks of its own")
    before = [step for name in fields["include"] for step in included_steps(file.parent / name)]
    shared = {**IDENTITY, **IDENTITY_OPTIONAL}
    return Recipe(
        id=fields["id"],
        file=file,
        identity={name: table[name] for name in shared if name in table},
        arch=fields["requires"].arch[0],
        glibc=fields["glibc"],
        date=fields["date"],
        pythons=fields["pythons"],
        steps=(*before, *fields["steps"]),
        glibc_minimum=fields["requires"].glibc and fields["requires"].glibc.minimum,
        **{name: fields[name] for name in ("sdists", "overrides", "excludes", "prereleases", "dates", "unmet")},
    )


def included_steps(file: Path) -> tuple[Step, ...]:
    """The steps of a parent image, kept in a file of their own beside the variants that build on it.

    Raises:
        LocksetInvalidError: as ``load_recipe``.
    """
    steps: tuple[Step, ...] = _decode(shape(dict, {"steps": many(_step)}), read_toml(file), file)["steps"]
    return steps


def _decode(decoder: Any, table: dict[str, Any], file: Path) -> Any:
    """A decoded table; its errors name the file."""
    fields = dict(table)
    schema = fields.pop("schema", None)
    if schema != SCHEMA:
        raise LocksetInvalidError(file, "schema", f"must be {SCHEMA}, not {schema!r}")
    try:
        return decoder(fields)
    except FieldError as error:
        raise LocksetInvalidError(file, error.key, error.reason) from None
