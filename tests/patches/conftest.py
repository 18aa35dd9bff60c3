from __future__ import annotations

import pytest

from tests.runtime import fakes


@pytest.fixture
def environment(tmp_path):
    """An environment with the small vLLM in it, without the runtime."""
    made = fakes.Environment(tmp_path / "env")
    fakes.write_vllm(made.site)
    return made


@pytest.fixture
def prefix(environment):
    return environment.python.parents[1]
