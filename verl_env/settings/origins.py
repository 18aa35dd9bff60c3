"""Every configured value with where it comes from, for those who wonder why something is where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.credentials import without_credentials
from verl_env.places import user_directory
from verl_env.records import record
from verl_env.settings.config import (
    BUILD_CACHE_VARIABLE,
    CACHE_VARIABLE,
    CONFIG_VARIABLE,
    build_cache_directory,
    cache_directory,
    load_config,
    normal_name,
    read_tables,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "default"


@record
class Setting:
    """One key, its value in force, and its origin: a variable, a file, or ``default``."""

    key: str
    value: str
    origin: str


def settings(env: Mapping[str, str] = os.environ) -> tuple[Setting, ...]:
    """Everything that is configured.

    Raises:
        ConfigError: a file cannot be used.
    """
    tables = read_tables(env)
    found = [
        Setting("cache", str(cache_directory(env)), _origin("cache", CACHE_VARIABLE, tables, env)),
        Setting("build_cache", str(build_cache_directory(env)), _build_origin(tables, env)),
    ]
    for prefix, place in sorted(load_config(env).mirrors.items()):
        file = next((path for path, table in tables if prefix in _stripped(table.get("mirrors", {}))), None)
        found.append(Setting(without_credentials(f'mirrors."{prefix}"'), without_credentials(place), str(file)))
    for path, only, forbid in load_config(env).locksets:
        rules = {"locksets.only": only, "locksets.forbid": forbid}
        found += [Setting(key, ", ".join(each), str(path)) for key, each in rules.items() if each]
    config = load_config(env)
    if config.trusted:
        origins = ", ".join(str(path) for path, table in tables if "trusted" in table)
        found.append(Setting("trusted", ", ".join(config.trusted), origins))
    if config.digests is not None:
        found.append(Setting("digests", str(config.digests), _origin("digests", "", tables, env)))
    if config.catalogue is not None:
        file = next(path for path, table in tables if "catalogue" in table)
        url, root = config.catalogue
        found += [Setting("catalogue.url", without_credentials(url), str(file))]
        found += [Setting("catalogue.root", str(root), str(file))]
    for name, directory in sorted(config.provided.items()):
        file = next(path for path, table in tables if name in _names(table.get("provided")))
        found.append(Setting(f"provided.{name}", str(directory), str(file)))
    return tuple(found)


def own_file(env: Mapping[str, str] = os.environ) -> Path:
    """The configuration file of the user, whether or not it is there."""
    if named := env.get(CONFIG_VARIABLE):
        return Path(named)
    return user_directory("XDG_CONFIG_HOME", env) / "verl-env" / "config.toml"


def _origin(key: str, variable: str, tables: list[tuple[Path, dict[str, object]]], env: Mapping[str, str]) -> str:
    if env.get(variable):
        return variable
    return next((str(path) for path, table in tables if key in table), DEFAULT)


def _build_origin(tables: list[tuple[Path, dict[str, object]]], env: Mapping[str, str]) -> str:
    """Where the directory of built wheels comes from; by default it lies in that of downloads."""
    own = _origin("build_cache", BUILD_CACHE_VARIABLE, tables, env)
    return own if own != DEFAULT else f"{DEFAULT}, below cache"


def _stripped(table: object) -> set[str]:
    return {str(key).rstrip("/") for key in table} if isinstance(table, dict) else set()


def _names(table: object) -> set[str]:
    return {normal_name(str(key)) for key in table} if isinstance(table, dict) else set()
