"""A yard to build in: everything that it needs lies in a directory."""

import shutil

import pytest

from tests.builds.worlds import Yard
from tests.install.conftest import *  # noqa: F403 (fixtures)


@pytest.fixture
def yard(tmp_path, house, target_path, monkeypatch):
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    return Yard(tmp_path, house, target_path, monkeypatch)
