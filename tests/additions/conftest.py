import pytest

from tests.additions.world import World
from tests.install.conftest import *  # noqa: F403 (fixtures)
from tests.rounds import EITHER


@pytest.fixture
def place(snapshots):
    """A project with the environment of a world, as it was just after its installation."""
    return snapshots.restore("world", lambda path: World(path).install())


@pytest.fixture
def world(place, tmp_path):
    return World(place, tmp_path)


@pytest.fixture(params=EITHER)
def installer(request):
    return request.param
