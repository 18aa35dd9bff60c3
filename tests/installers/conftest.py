"""The fixtures of installations."""

from tests.install.conftest import *  # noqa: F403 (fixtures)
from tests.locksets.conftest import *  # noqa: F403
