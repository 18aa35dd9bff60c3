"""Installers that see nothing of this host's settings and share one small cache."""

import os

import pytest

from tests.install.server import Index
from tests.install.wheels import House

PREFIXES = ("UV_", "PIP_", "PYTHON", "VIRTUAL_ENV", "CONDA_")


@pytest.fixture(scope="session")
def installer_caches(tmp_path_factory):
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def clean_settings(monkeypatch, installer_caches):
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(installer_caches / "uv"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(installer_caches / "pip"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "wheelhouse")


@pytest.fixture
def target_path(tmp_path):
    (tmp_path / "project").mkdir()
    return tmp_path / "project" / ".venv"


@pytest.fixture
def index(house):
    index = Index(house.path)
    yield index
    index.close()
