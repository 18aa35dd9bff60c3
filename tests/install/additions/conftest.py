import pytest

from tests.install.additions.world import World


@pytest.fixture
def world(tmp_path, house, target_path):
    world = World(tmp_path, house, target_path)
    world.install()
    return world


@pytest.fixture(params=["uv", "pip"])
def installer(request):
    return request.param
