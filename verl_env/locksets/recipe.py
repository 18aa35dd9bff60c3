"""Recipes: the hand-written inputs of a lockset.

``recipe.toml`` holds every key that lockset.toml has except ``pythons`` and what says how far it was tried
(``evidence.py``), and besides them the steps of the image in their order, the date as of which they are replayed, and
what the replay must be told: requirements of source distributions, overrides, components that no index brings, and the
reason of each requirement that stays unmet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verl_env.locksets.errors import LocksetInvalidError
from verl_env.locksets.load import IDENTITY, IDENTITY_OPTIONAL, NOTHING, SCHEMA, driver, glibc, gpu, read_toml
from verl_env.records import record
from verl_env.shapes import FieldError, count, flag, many, number, sha256, shape, text, texts, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TypeVar

    from verl_env.shapes import Decoder

    T = TypeVar("T")

FILE = "recipe.toml"


@record
class Virtual:
    """A component that the image has and no index brings: a native build, a wheel by address.

    It takes its place in the replayed environment, so that later steps see it, and never enters the lock.
    """

    name: str
    version: str
    requires: tuple[str, ...]


@record
class Addressed:
    """A wheel that the package index does not have: of another index, or of a release of its own.

    Args:
        name: Its project.
        version: With its local part, ``"2.7.1+rocm6.3"``.
        address: Of the wheel (it ends in ``.whl``; ``{cp}`` in it becomes ``cp312``), or of the index that has it.
        requires: Its ``Requires-Dist``, stated: an address need not be within reach where locks are made.
        sha256: One digest, or one for each Python; None where nobody published it where two sources can be compared.
        bytes: Its size, where that is known.
        source: Where these facts come from.
        sdist: Whether the index has it as a source distribution; it must be one of Python alone.
    """

    name: str
    version: str
    address: str
    source: str
    requires: tuple[str, ...]
    sha256: str | Mapping[str, str] | None
    bytes: int | None
    sdist: bool

    def address_for(self, python: str) -> str:
        """The address for a Python."""
        return self.address.replace("{cp}", f"cp{python.replace('.', '')}")

    def digest_for(self, python: str) -> str | None:
        """The digest of the wheel for a Python, where one is recorded."""
        return self.sha256 if isinstance(self.sha256, str) or self.sha256 is None else self.sha256.get(python)


@record
class RecipeStep:
    """One step of the image, or one of our own (then ``title`` says so).

    ``install`` is written as in the Dockerfile; what ``unquoted`` lists of it stood without quotes in the shell, which
    took ``>`` for a redirection, so that only the bare name was installed.
    """

    title: str
    install: tuple[str, ...]
    unquoted: tuple[str, ...]
    uninstall: tuple[str, ...]
    virtual: tuple[Virtual, ...]
    wheels: tuple[Addressed, ...]
    upgrade: bool
    no_deps: bool
    find_links: tuple[str, ...]
    index_url: str | None
    date: str | None


@record
class Sdist:
    """A release that the index has as source only; its requirements are stated, so that its code never runs."""

    name: str
    version: str
    requires: tuple[str, ...]


@record
class Override:
    """A requirement that replaces every other one on the same package."""

    requirement: str
    reason: str


@record
class Exclude:
    """A package that is left out wherever it is required."""

    name: str
    reason: str


@record
class PackageDate:
    """Another date for one package."""

    name: str
    date: str
    reason: str


@record
class UnmetReason:
    """Why a requirement of ``package`` on ``requires`` (a name) stays unmet."""

    package: str
    requires: str
    reason: str


@record
class LocksetRecipe:
    """The inputs of one lockset.

    ``identity`` is what lockset.toml takes over as it is. ``glibc`` is that of the image: it says which wheels the
    image took; it may be left out where there are no ``pythons``, for what cannot be locked is only recorded.
    """

    id: str
    file: Path
    identity: Mapping[str, Any]
    arch: str
    glibc: str
    date: str
    pythons: tuple[str, ...]
    steps: tuple[RecipeStep, ...]
    sdists: tuple[Sdist, ...] = ()
    overrides: tuple[Override, ...] = ()
    excludes: tuple[Exclude, ...] = ()
    prereleases: tuple[str, ...] = ()
    dates: tuple[PackageDate, ...] = ()
    unmet: tuple[UnmetReason, ...] = ()
    glibc_minimum: str | None = None


_virtual = shape(Virtual, {"name": text, "version": text}, {"requires": (texts, NOTHING)})


def _digests(value: object) -> str | dict[str, str]:
    """One digest, or one for each Python."""
    if isinstance(value, dict):
        return {number(python): sha256(digest) for python, digest in value.items()}
    return sha256(value)


_addressed = shape(
    Addressed,
    {"name": text, "version": text, "address": text, "source": text},
    {"requires": (texts, NOTHING), "sha256": (_digests, None), "bytes": (count, None), "sdist": (flag, False)},
)
_step = shape(
    RecipeStep,
    {"title": text},
    {
        "install": (texts, NOTHING),
        "unquoted": (texts, NOTHING),
        "uninstall": (texts, NOTHING),
        "virtual": (many(_virtual), NOTHING),
        "wheels": (many(_addressed), NOTHING),
        "upgrade": (flag, False),
        "no_deps": (flag, False),
        "find_links": (texts, NOTHING),
        "index_url": (text, None),
        "date": (timestamp, None),
    },
)
_replay: Mapping[str, Decoder[Any]] = {
    "date": timestamp,
    "pythons": many(number),
    "steps": many(_step),
}
_replay_optional: Mapping[str, tuple[Decoder[Any], object]] = {
    "glibc": (number, ""),
    "sdists": (many(shape(Sdist, {"name": text, "version": text}, {"requires": (texts, NOTHING)})), NOTHING),
    "overrides": (many(shape(Override, {"requirement": text, "reason": text})), NOTHING),
    "excludes": (many(shape(Exclude, {"name": text, "reason": text})), NOTHING),
    "prereleases": (texts, NOTHING),
    "dates": (many(shape(PackageDate, {"name": text, "date": timestamp, "reason": text})), NOTHING),
    "unmet": (many(shape(UnmetReason, {"package": text, "requires": text, "reason": text})), NOTHING),
}
_recipe: Decoder[dict[str, Any]] = shape(dict, {**IDENTITY, **_replay}, {**IDENTITY_OPTIONAL, **_replay_optional})

#: What an included file may hold: lists, which go before those of the recipe, and tables, which it adds to.
INCLUDABLE = ("steps", "checks", "natives", "deviations", "notes", "build_constraints", "env", *_replay_optional)
_all: Mapping[str, Decoder[Any]] = {
    **{name: decoder for name, (decoder, _) in {**IDENTITY_OPTIONAL, **_replay_optional}.items()},
    **IDENTITY,
    **_replay,
}
_part_of_requires: Decoder[dict[str, Any]] = shape(
    dict, {}, {"driver": (driver, None), "glibc": (glibc, None), "gpu": (many(gpu), NOTHING)}
)
_included: Decoder[dict[str, Any]] = shape(
    dict, {}, {**{name: (_all[name], NOTHING) for name in INCLUDABLE}, "requires": (_part_of_requires, None)}
)


def recipe_files(root: Path) -> tuple[Path, ...]:
    """Every recipe.toml under a directory of locksets, by id."""
    return tuple(sorted(root.glob(f"*/*/{FILE}")))


def load_recipe(file: Path) -> LocksetRecipe:
    """The recipe of one recipe.toml, with what it includes.

    ``include`` names files that hold what several variants share (the steps of their parent image, its natives, what
    it needs of a machine): lists, each of which goes before the recipe's own, and tables, whose values the recipe's
    own replace.

    Raises:
        LocksetInvalidError: a key is missing, unknown or of the wrong form, here or in an included file.
    """
    table = _table(file)
    names = table.pop("include", [])
    for name in reversed(_decode(texts, names, file, "include")):
        parent = _table(file.parent / name)
        _decode(_included, parent, file.parent / name)
        table = _joined(parent, table)
    fields = _decode(_recipe, table, file)
    if fields["id"] != (folder := "/".join(file.parts[-3:-1])):
        raise LocksetInvalidError(file, "id", f"must be its folder, {folder}, not {fields['id']}")
    if len(fields["requires"].arch) != 1:
        raise LocksetInvalidError(file, "requires.arch", "must be one architecture: each has locks of its own")
    if fields["planned"] and not fields["pythons"]:
        raise LocksetInvalidError(file, "planned", "goes with Pythons: what has no lock is recorded only")
    if fields["pythons"] and not fields["glibc"]:
        raise LocksetInvalidError(file, "glibc", "is missing")
    shared = {**IDENTITY, **IDENTITY_OPTIONAL}
    return LocksetRecipe(
        id=fields["id"],
        file=file,
        identity={name: table[name] for name in shared if name in table},
        arch=fields["requires"].arch[0],
        glibc_minimum=fields["requires"].glibc and fields["requires"].glibc.minimum,
        **{name: fields[name] for name in (*_replay, *_replay_optional)},
    )


def _joined(parent: Any, own: Any) -> Any:
    """Lists one after the other, tables key by key; anything else is the recipe's own."""
    if isinstance(parent, list) and isinstance(own, list):
        return parent + own
    if isinstance(parent, dict) and isinstance(own, dict):
        return {**parent, **{key: _joined(parent.get(key), value) for key, value in own.items()}}
    return own


def _table(file: Path) -> dict[str, Any]:
    """The keys of a recipe file, without its schema."""
    table = read_toml(file)
    schema = table.pop("schema", None)
    if schema != SCHEMA:
        raise LocksetInvalidError(file, "schema", f"must be {SCHEMA}, not {schema!r}")
    return table


def _decode(decoder: Decoder[T], value: object, file: Path, key: str = "") -> T:
    """A decoded value; its errors name the file."""
    try:
        return decoder(value)
    except FieldError as error:
        within = error.within(key)
        raise LocksetInvalidError(file, within.key, within.reason) from None
