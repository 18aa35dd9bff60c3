"""The worlds of the installation's tests: installers that see nothing of this host's settings, small wheels."""

import subprocess
import sys

import pytest

from tests.additions.conftest import place  # noqa: F401 (fixtures)
from tests.additions.world import World
from tests.install.conftest import (  # noqa: F401 (fixtures)
    clean_settings,
    house,
    installer_caches,
    runtime_source,
    snapshots,
    steady_runtime,
    target_path,
)
from tests.install.server import Index
from verl_env.uv_program import uv_program


@pytest.fixture
def world(place, tmp_path, monkeypatch):  # noqa: F811
    """An environment of verl-env's own, and an index that serves what can be added."""
    world = World(place, tmp_path)
    index = Index(world.house.path)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple)
    monkeypatch.setenv("PIP_INDEX_URL", index.simple)
    yield world
    index.close()


@pytest.fixture
def plain(tmp_path):
    """A virtual environment that another tool made, with a package in it and a file of nobody's."""
    path = tmp_path / "their" / "env"
    subprocess.run([uv_program(), "venv", "-q", "--python", sys.executable, str(path)], check=True)
    site = next(path.glob("lib/python3*/site-packages"))
    info = site / "old-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: old\nVersion: 1.0\n")
    (site / "old.py").write_text("x = 1\n")
    (info / "RECORD").write_text("old.py,,\nold-1.0.dist-info/METADATA,,\nold-1.0.dist-info/RECORD,,\n")
    (site / "mine.py").write_text("mine = 1\n")
    return path
