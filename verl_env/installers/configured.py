"""Which package index an installer asks, by its own variables and configuration files."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.constraints import parse_toml
from verl_env.locksets.index import PYPI
from verl_env.places import user_directory
from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Seconds that pip gets to say its configuration.
_SECONDS = 4.0
_UV_MORE = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_UV_PROXIES = {"http": ("UV_HTTP_PROXY", "UV_ALL_PROXY"), "https": ("UV_HTTPS_PROXY", "UV_ALL_PROXY")}


@record
class ConfiguredIndex:
    """The index of an installer; ``sole`` says that it has no other place to look, ``proxies`` are its own."""

    url: str
    sole: bool
    proxies: Mapping[str, str] = NOTHING

    def page(self, project: str) -> str:
        """The address of a project on it."""
        return f"{self.url.rstrip('/')}/{project}/"


def index_of(installer: str, environ: Mapping[str, str]) -> ConfiguredIndex:
    """The index that ``uv`` or ``pip`` asks first."""
    return _uv(environ) if installer == "uv" else _pip(environ)


def configured_index(environ: Mapping[str, str] = os.environ) -> str:
    """The index that uv and pip are configured for, in that order; extra indices are not asked for locks."""
    of_uv = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    return (_bare(of_uv) if of_uv else environ.get("PIP_INDEX_URL") or _pip(environ).url).rstrip("/")


def _uv(environ: Mapping[str, str]) -> ConfiguredIndex:
    url = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    more = any(environ.get(name) for name in _UV_MORE)
    for table in _uv_tables(environ):
        indexes = [each for each in table.get("index", ()) if isinstance(each, dict)]
        default = next((each.get("url") for each in indexes if each.get("default")), None)
        url = url or default or table.get("index-url") or table.get("pip", {}).get("index-url")
        more = more or bool(table.get("extra-index-url") or table.get("find-links") or len(indexes) > bool(default))
    proxies = {
        scheme: value
        for scheme, names in _UV_PROXIES.items()
        if (value := next(filter(None, map(environ.get, names)), None))
    }
    return ConfiguredIndex(_bare(url), not more, proxies)


def _uv_tables(environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Uv's configuration files, the strongest first; one that cannot be read is uv's to complain of."""
    if environ.get("UV_NO_CONFIG"):
        return
    named = environ.get("UV_CONFIG_FILE")
    home = user_directory("XDG_CONFIG_HOME", environ)
    for file in [Path(named)] if named else [home / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]:
        with suppress(OSError, ValueError):
            yield parse_toml(file)


def _pip(environ: Mapping[str, str]) -> ConfiguredIndex:
    """Pip says its configuration, as it reads five files and variables besides."""
    from verl_env.installers.isolation import installer_environment  # noqa: PLC0415
    from verl_env.installers.pip import pip_of  # noqa: PLC0415
    from verl_env.machine.child import Completed, run  # noqa: PLC0415

    argv = (*pip_of(None), "--no-input", "config", "list")
    outcome = run(argv, deadline=time.monotonic() + _SECONDS, env=installer_environment(environ))
    text = outcome.stdout.decode("utf-8", "replace") if isinstance(outcome, Completed) else ""
    said: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name.partition(".")[0] in ("global", "install", "download", ":env:"):
            said[name.partition(".")[2]] = value.strip("'\"")
    proxy = said.get("proxy")
    more = said.get("extra-index-url") or said.get("find-links")
    return ConfiguredIndex(
        _bare(said.get("index-url")), not more, {"http": proxy, "https": proxy} if proxy else NOTHING
    )


def _bare(url: str | None) -> str:
    """An index in uv's form ``name=URL`` without the name; PyPI where none is configured."""
    if not url:
        return PYPI
    name, equals, rest = url.partition("=")
    return os.path.expandvars(rest if equals and "/" not in name else url)
