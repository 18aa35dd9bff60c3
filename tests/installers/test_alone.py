"""Offline, a wheelhouse is the only place that installers and builds hear of."""

import os
from pathlib import Path

import pytest

from verl_env.installers import alone
from verl_env.installers.alone import wheelhouse_alone
from verl_env.installers.index import pip_environment
from verl_env.installers.isolation import installer_environment
from verl_env.installers.options import Options

INDICES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
PLACES = (*INDICES, "UV_FIND_LINKS", "UV_CONFIG_FILE", "PIP_FIND_LINKS", "PIP_CONFIG_FILE")


@pytest.fixture
def host(monkeypatch):
    for name in PLACES:
        monkeypatch.setenv(name, "https://elsewhere.example/x")
    monkeypatch.delenv("UV_NO_CONFIG", raising=False)
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.setattr(alone, "cache_of_uv", lambda: "/scratch/uv")
    return of_installers()


def of_installers():
    return {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_"))}


@pytest.mark.parametrize("environment", [installer_environment, pip_environment])
def test_no_place_of_the_host_reaches_an_installer_or_a_build(host, tmp_path, environment):
    with wheelhouse_alone(Options(tmp_path, offline=True, wheelhouse=tmp_path / "wheel house")):
        seen = environment(os.environ)
    assert not [name for name, value in seen.items() if "elsewhere" in value]
    assert seen["UV_NO_CONFIG"] == "1"
    assert seen["PIP_CONFIG_FILE"] == os.devnull
    assert seen["PIP_FIND_LINKS"] == seen["PIP_INDEX_URL"] == (tmp_path / "wheel house").as_uri()
    assert seen["UV_CACHE_DIR"] == "/scratch/uv"
    assert of_installers() == host


@pytest.mark.parametrize("given", [{"offline": True}, {"wheelhouse": Path("/w")}])
def test_where_an_index_or_a_cache_may_be_asked_they_stay(host, tmp_path, given):
    with wheelhouse_alone(Options(tmp_path, **given)):
        assert of_installers() == host
