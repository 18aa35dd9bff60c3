"""Components that are really built, by both installers, and what is left when that fails."""

import json

import pytest

from tests.install.builds.worlds import answer
from tests.install.plans import Recorder
from verl_env.install.builds.errors import NativeBuildFailed


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_component_is_built_and_installed(yard, installer):
    recorder = Recorder()
    outcome = yard.install(yard.sdist("demo-ext"), installer=installer, recorder=recorder)
    assert outcome.done
    assert answer(yard.site, "demo_ext") == 42
    assert ("demo-ext 1.0", 3, 3) in recorder.built
    names = {path.name.partition("-")[0] for path in yard.site.glob("*.dist-info")}
    assert names == {"torch", "demo_ext", "verl_env_runtime"}
    assert not list(yard.tmp.iterdir())
