"""The configuration file: TOML of the user, and below it that of the site.

The user's is ``$VERL_ENV_CONFIG``, else ``$XDG_CONFIG_HOME/verl-env/config.toml`` (``~/.config``). A site's is
``verl-env/config.toml`` in a directory of ``$XDG_CONFIG_DIRS`` (``/etc/xdg``), earlier ones first: the XDG Base
Directory Specification, 0.8. What the user says goes before what the site says, key by key and mirror by mirror.
"""

from __future__ import annotations

import os

from verl_env.constraints import toml_of
from verl_env.places import user_directory, user_folder
from verl_env.reading import read_bytes
from verl_env.records import NOTHING, record
from verl_env.settings.errors import (
    ConfigKeyUnknownError,
    ConfigSyntaxError,
    ConfigUnreadableError,
    ConfigValueInvalidError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

#: Names the user's configuration file.
CONFIG_VARIABLE = "VERL_ENV_CONFIG"
#: Where downloads are kept that no installer makes.
CACHE_VARIABLE = "VERL_ENV_CACHE_DIR"
#: Where wheels are kept that were built here; several users may share it.
BUILD_CACHE_VARIABLE = "VERL_ENV_BUILD_CACHE"

_FILE = "verl-env/config.toml"
_KEYS = ("mirrors", "cache", "build_cache", "locksets", "trusted", "digests", "catalogue", "provided")
_DIRECTORIES = ("cache", "build_cache", "digests")
_RULES = ("only", "forbid")


@record
class Config:
    """What is configured.

    ``mirrors`` maps prefixes of addresses to what stands for them (``verl_env.settings.mirrors``); ``cache`` and
    ``build_cache`` are absolute directories or None; ``locksets``
    are the rules of each file that has some: itself, patterns of the only locksets, and of those that are forbidden; no
    file takes back what another one forbids. ``trusted`` are the users, and groups after ``@``, of all files, whose
    entries are taken from caches (``verl_env.settings.owners``); ``digests`` is the site's file of them
    (``verl_env.settings.digests``). ``catalogue`` is where newer catalogues of components are, and the first root of
    their signatures (``verl_env.catalogue``). ``files` are those it was read from, the strongest first.
    """

    mirrors: Mapping[str, str] = NOTHING
    cache: Path | None = None
    build_cache: Path | None = None
    files: tuple[Path, ...] = ()
    locksets: tuple[tuple[Path, tuple[str, ...], tuple[str, ...]], ...] = ()
    trusted: tuple[str, ...] = ()
    digests: Path | None = None
    catalogue: tuple[str, Path] | None = None
    provided: Mapping[str, Path] = NOTHING


def load_config(env: Mapping[str, str] = os.environ) -> Config:
    """Reads what is configured; where no file is, that takes one look at each place.

    Raises:
        ConfigError: a file cannot be read or says what makes no sense; the subclass says which and why.
    """
    found = read_tables(env)
    merged: dict[str, Any] = {}
    mirrors: dict[str, str] = {}
    provided: dict[str, Path | None] = {}
    for path, table in reversed(found):
        merged |= _directories(path, table, env)
        provided |= _provided(path, table.get("provided", {}), env)
        mirrors |= _mirrors(path, table)
    rules = tuple(_rules(path, table["locksets"]) for path, table in found if "locksets" in table)
    trusted = tuple(dict.fromkeys(name for path, table in found for name in _trusted(path, table.get("trusted", []))))
    newer = next((_catalogue(path, table["catalogue"], env) for path, table in found if "catalogue" in table), None)
    return Config(
        mirrors,
        merged.get("cache"),
        merged.get("build_cache"),
        tuple(path for path, _ in found),
        rules,
        trusted,
        merged.get("digests"),
        newer,
        {name: place for name, place in provided.items() if place is not None},
    )


def read_tables(env: Mapping[str, str] = os.environ) -> list[tuple[Path, dict[str, Any]]]:
    """The configuration files that are there, the strongest first, each as a table whose keys are known.

    Raises:
        ConfigError: a file cannot be read or is no TOML, or has an unknown key.
    """
    return [read for place in _places(env) if (read := _read(place)) is not None]


def cache_directory(env: Mapping[str, str] = os.environ) -> Path:
    """Where downloads are kept: ``VERL_ENV_CACHE_DIR``, else as configured, else ``$XDG_CACHE_HOME/verl-env``.

    Raises:
        ConfigError: as ``load_config``.
    """
    from pathlib import Path  # noqa: PLC0415

    if named := env.get(CACHE_VARIABLE):
        return Path(named)
    return load_config(env).cache or user_directory("XDG_CACHE_HOME", env) / "verl-env"


def build_cache_directory(env: Mapping[str, str] = os.environ) -> Path:
    """Where built wheels are kept: ``VERL_ENV_BUILD_CACHE``, else as configured, else ``built`` in the cache.

    Raises:
        ConfigError: as ``load_config``.
    """
    from pathlib import Path  # noqa: PLC0415

    if named := env.get(BUILD_CACHE_VARIABLE):
        return Path(named)
    return load_config(env).build_cache or cache_directory(env) / "built"


def _places(env: Mapping[str, str]) -> Iterator[str]:
    named = env.get(CONFIG_VARIABLE)
    if named and not os.path.exists(named):  # noqa: PTH110 (a plan needs no pathlib, which takes a sixth of its time)
        from pathlib import Path  # noqa: PLC0415

        raise ConfigUnreadableError(Path(named), f"{CONFIG_VARIABLE} names it, and it is not there")
    yield named or f"{user_folder('XDG_CONFIG_HOME', env)}/{_FILE}"
    for directory in (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep):
        if directory:
            yield f"{directory}/{_FILE}"


def _read(place: str) -> tuple[Path, dict[str, Any]] | None:
    """A file as a table whose keys are known; None where there is no file."""
    if place != os.devnull and not os.path.lexists(place):
        return None
    from pathlib import Path  # noqa: PLC0415 (most hosts have no configuration)

    path = Path(place)
    table = _table(path)
    return None if table is None else (path, table)


def _table(path: Path) -> dict[str, Any] | None:
    try:
        content = b"" if str(path) == os.devnull else read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigUnreadableError(path, error.strerror or str(error)) from error
    if not content:
        return {}
    try:
        table = toml_of(content.decode())
    except ValueError as error:
        raise ConfigSyntaxError(path, str(error)) from error
    for key in table:
        if key not in _KEYS:
            raise ConfigKeyUnknownError(path, key, _KEYS)
    return table


def _directories(path: Path, table: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Path]:
    return {key: _directory(path, key, table[key], env) for key in _DIRECTORIES if key in table}


def _directory(path: Path, key: str, value: object, env: Mapping[str, str]) -> Path:
    """A directory, with ``~`` and the variables in it replaced; it need not be there yet."""
    from pathlib import Path  # noqa: PLC0415
    from string import Template  # noqa: PLC0415

    if not isinstance(value, str):
        raise ConfigValueInvalidError(path, key, f"is {value!r}, and a directory is a text")
    try:
        directory = Path(Template(value).substitute(env)).expanduser()
    except KeyError as error:
        raise ConfigValueInvalidError(
            path, key, f"is {value!r}, and the variable {error.args[0]} is not set"
        ) from error
    except (ValueError, RuntimeError) as error:
        raise ConfigValueInvalidError(path, key, f"is {value!r}: {error}") from error
    if not directory.is_absolute():
        raise ConfigValueInvalidError(path, key, f"is {value!r}, and a directory is given from the root")
    return directory


def _rules(path: Path, table: object) -> tuple[Path, tuple[str, ...], tuple[str, ...]]:
    """What a file says of locksets."""
    if not isinstance(table, dict) or table.keys() - set(_RULES):
        raise ConfigValueInvalidError(path, "locksets", f"is {table!r}, and may have the lists only and forbid")
    found = [table.get(name, []) for name in _RULES]
    if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in found):
        raise ConfigValueInvalidError(path, "locksets", f"is {table!r}, and only and forbid are lists of texts")
    return path, tuple(found[0]), tuple(found[1])


def _catalogue(path: Path, value: object, env: Mapping[str, str]) -> tuple[str, Path]:
    """Where newer catalogues are, and the first root of their signatures."""
    if not isinstance(value, dict) or value.keys() != {"url", "root"} or "://" not in str(value["url"]):
        raise ConfigValueInvalidError(path, "catalogue", f"is {value!r}, and has an address url and a file root")
    return str(value["url"]), _directory(path, "catalogue.root", value["root"], env)


def normal_name(name: str) -> str:
    """The name of a package in the form that compares (PEP 503), but for runs of separators."""
    return name.lower().replace("_", "-").replace(".", "-")


def _provided(path: Path, table: object, env: Mapping[str, str]) -> dict[str, Path | None]:
    """The packages that a file says the site has; None for those that are not taken."""
    if not isinstance(table, dict):
        raise ConfigValueInvalidError(path, "provided", f"is {table!r}, and is a table of packages and directories")
    return {
        normal_name(name): None if place is False else _directory(path, f"provided.{name}", place, env)
        for name, place in table.items()
    }


def _trusted(path: Path, value: object) -> list[str]:
    """The owners that a file trusts."""
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip("@ ") for each in value):
        raise ConfigValueInvalidError(
            path, "trusted", f"is {value!r}, and a list of users, and of groups after @, is wanted"
        )
    return value


def _mirrors(path: Path, table: Mapping[str, Any]) -> dict[str, str]:
    """The mirrors of a file, without the slashes at their ends."""
    mirrors = table.get("mirrors", {})
    if not isinstance(mirrors, dict):
        raise ConfigValueInvalidError(path, "mirrors", f"is {mirrors!r}, and mirrors are a table")
    for prefix, place in mirrors.items():
        for address in (prefix, place):
            if not isinstance(address, str) or "://" not in address:
                raise ConfigValueInvalidError(path, f'mirrors."{prefix}"', f"has {address!r}, which is no address")
    return {prefix.rstrip("/"): place.rstrip("/") for prefix, place in mirrors.items()}
