"""The wheels of native components that were read against an environment, where pip and uv find them (find-links).

Plain ``pip install flash-attn`` would else take the newest source from the index and build it against another torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.environment.files import link_or_copy
from verl_env.environment.installed import normalise

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "verl-env-wheels"


def wheels_in(environment: Path) -> dict[str, tuple[str, Path]]:
    """Version and file of each wheel that lies in an environment, by the name of its project."""
    files = sorted((environment / FOLDER).glob("*-*-*.whl"))
    return {normalise(file.name.split("-")[0]): (file.name.split("-")[1], file) for file in files}


def put_wheel(environment: Path, wheel: Path) -> None:
    """Puts a wheel, under the name that its metadata states, in the place of any other of its project.

    Raises:
        OSError: it can neither be linked nor copied.
    """
    folder = environment / FOLDER
    folder.mkdir(exist_ok=True)
    name = normalise(wheel.name.split("-")[0])
    if name in (there := wheels_in(environment)):
        there[name][1].unlink()
    link_or_copy(str(wheel), str(folder / wheel.name))


def keep_wheel(environment: Path, old: Path | None, name: str) -> None:
    """Takes the wheel of a component over from the generation before, where it has one.

    Raises:
        OSError: it can neither be linked nor copied.
    """
    if old is not None and name in (there := wheels_in(old)):
        put_wheel(environment, there[name][1])
