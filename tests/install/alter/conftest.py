from tests.additions.conftest import *  # noqa: F403 (fixtures)
