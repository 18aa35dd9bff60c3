"""Gives a wheel the name that its own metadata states, in a directory that an installer can look into.

flash-attn's wheels are renamed after they are built (``2.7.4.post1+cu12torch2.6...`` in the name, ``2.7.4.post1``
inside), which installers refuse or record as an address on this host. Installed from such a directory by name and
hash, they are recorded like anything from an index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.environment.files import link_or_copy
from verl_env.installers.base import Batch, Source
from verl_env.installers.requirements import write_file
from verl_env.records import record
from verl_env.wheels.fetch import file_sha256
from verl_env.wheels.identity import read_identity

if TYPE_CHECKING:
    from pathlib import Path


@record
class Staged:
    """A wheel that an installer can find: what it is by its own metadata, its hash, and where it was put."""

    name: str
    version: str
    sha256: str
    file: Path


def stage_wheel(wheel: Path, directory: Path) -> Staged:
    """Puts a wheel into a directory under its true name.

    Raises:
        ValueError: it is no wheel.
        OSError: it cannot be put there.
    """
    name, version = read_identity(wheel)
    tags = wheel.name.removesuffix(".whl").split("-")[-3:]
    staged = directory / f"{'-'.join([name.replace('-', '_'), version, *tags])}.whl"
    if not staged.exists():
        link_or_copy(str(wheel), str(staged))
    return Staged(name, version, file_sha256(staged), staged)


def batch_of(wheel: Path, directory: Path) -> tuple[Staged, Batch]:
    """What installs one wheel and nothing else, recorded by name; files go into the directory.

    Raises:
        ValueError: it is no wheel.
    """
    staged = stage_wheel(wheel, directory)
    file = directory / f"{staged.name}.txt"
    write_file(file, staged.name, staged.version, staged.sha256)
    return staged, Batch(file, Source((str(directory),), offline=True))
