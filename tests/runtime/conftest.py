"""The fake environment, made once per session and copied by nobody: tests that change it make their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "verl_env" / "runtime" / "src"))

from . import fakes


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    made = fakes.Environment(tmp_path_factory.mktemp("env") / "env").install()
    fakes.write_vllm(made.site)
    return made


@pytest.fixture
def own_environment(tmp_path):
    made = fakes.Environment(tmp_path / "env").install()
    fakes.write_vllm(made.site)
    return made
