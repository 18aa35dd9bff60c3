"""The fixtures of installations."""

from tests.install.conftest import *  # noqa: F403 (fixtures)
