"""Wheels of source distributions, built for another interpreter than that of an environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.installers.base import Command
from verl_env.installers.isolation import installer_environment
from verl_env.installers.pip import pip_of
from verl_env.uv_program import uv_program

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The time that files in a built wheel have: the first one that a zip file can state.
_EPOCH = "315532800"


def wheel_command(interpreter: str, sdist: Path, out: Path, constraints: Path) -> Command:
    """Builds one wheel: by uv where it is there, else by pip.

    Args:
        interpreter: The Python that it is for.
        sdist: The source distribution.
        out: The directory that the wheel goes into.
        constraints: A file that limits what builds require.
    """
    uv = uv_program()
    if uv is not None:
        build: Sequence[str] = (uv, "build", "--wheel", "--quiet", "--no-config", "--python", interpreter)
        limits, into = "--build-constraints", "--out-dir"
    else:
        build = (*pip_of(Path(interpreter)), "wheel", "--no-deps", "--no-cache-dir")
        limits, into = "--build-constraint", "--wheel-dir"
    argv = (*build, limits, str(constraints), into, str(out), str(sdist))
    return Command(argv, installer_environment(os.environ) | {"SOURCE_DATE_EPOCH": _EPOCH})
