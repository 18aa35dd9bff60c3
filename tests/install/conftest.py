"""Installers that see nothing of this host's settings and share one small cache."""

import os
import shutil

import pytest

from tests.install.server import Index
from tests.install.snapshots import Snapshots
from tests.install.wheels import House
from verl_env.wheels import runtime as runtime_wheel

PREFIXES = ("UV_", "PIP_", "PYTHON", "VIRTUAL_ENV", "CONDA_")


@pytest.fixture(scope="session")
def installer_caches(tmp_path_factory):
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory):
    return Snapshots(tmp_path_factory.mktemp("snapshots"))


@pytest.fixture(scope="session")
def runtime_source(tmp_path_factory):
    """A copy of the runtime's source, which nobody edits while tests run."""
    copy = tmp_path_factory.mktemp("runtime") / "src"
    shutil.copytree(runtime_wheel.SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(autouse=True)
def steady_runtime(monkeypatch, runtime_source):
    monkeypatch.setattr(runtime_wheel, "SOURCE", runtime_source)


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
