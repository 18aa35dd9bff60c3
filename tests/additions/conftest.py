import pytest

from tests.additions.world import World
from tests.install.conftest import *  # noqa: F403 (fixtures)


@pytest.fixture
def world(tmp_path, house, target_path):
    world = World(tmp_path, house, target_path)
    world.install()
    return world


@pytest.fixture(params=["uv", "pip"])
def installer(request):
    return request.param
