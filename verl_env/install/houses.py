"""The directories in which wheels of native components are looked for: the user's, and the environment's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.components.housed import House
from verl_env.environment.state import read_state
from verl_env.environment.wheelhouse import FOLDER
from verl_env.install.errors import WheelhouseInvalidError
from verl_env.locksets.catalogue import load_catalogue
from verl_env.reading import what_is

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.environment.target import Target
    from verl_env.installers.options import Options


#: How the names of what an installer takes end.
_FILES = (".whl", ".tar.gz", ".zip")


def check_wheelhouse(path: Path) -> None:
    """Whether a directory can be a wheelhouse.

    Raises:
        WheelhouseInvalidError: it is none, or nothing in it can be installed.
    """
    if not path.is_dir():
        raise WheelhouseInvalidError(path, what_is(path))
    try:
        if not any(name.endswith(_FILES) for name in os.listdir(path)):  # noqa: PTH208
            raise WheelhouseInvalidError(path, "a directory without any wheel and without a bundle's manifest")
    except OSError as error:
        raise WheelhouseInvalidError(path, f"not to be read ({error.strerror})") from error


def houses(target: Target, options: Options) -> tuple[House, ...]:
    """What ``--wheelhouse`` names, then the wheels that were read for the environment that is there, for its torch."""
    given = () if options.wheelhouse is None else (House(options.wheelhouse),)
    current = target.current()
    state = None if current is None else read_state(current)
    lockset = next((each for each in load_catalogue() if state is not None and each.id == state.lockset), None)
    if current is None or lockset is None or not (current / FOLDER).is_dir():
        return given
    return (*given, House(current / FOLDER, ".".join(lockset.torch.split(".")[:2])))
