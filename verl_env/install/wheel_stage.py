"""Gives a wheel the name that its own metadata states, in a directory that an installer can look into.

flash-attn's wheels are renamed after they are built (``2.7.4.post1+cu12torch2.6...`` in the name, ``2.7.4.post1``
inside), which installers refuse or record as an address on this host. Installed from such a directory by name and
hash, they are recorded like anything from an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from verl_env.install.fetch import file_sha256
from verl_env.install.files import link_or_copy

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Staged:
    """A wheel that an installer can find: what it is by its own metadata, and its hash."""

    name: str
    version: str
    sha256: str


def stage_wheel(wheel: Path, directory: Path) -> Staged:
    """Puts a wheel into a directory under its true name.

    Raises:
        ValueError: it is no wheel.
        OSError: it cannot be put there.
    """
    name, version = _identity(wheel)
    tags = wheel.name.removesuffix(".whl").split("-")[-3:]
    staged = directory / f"{'-'.join([name.replace('-', '_'), version, *tags])}.whl"
    if not staged.exists():
        link_or_copy(str(wheel), str(staged))
    return Staged(name, version, file_sha256(staged))


def _identity(wheel: Path) -> tuple[str, str]:
    try:
        with ZipFile(wheel) as archive:
            metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            text = archive.read(metadata).decode("utf-8", "replace")
    except (BadZipFile, StopIteration) as error:
        raise ValueError(f"{wheel.name} is no wheel") from error
    headers = dict(line.split(": ", 1) for line in text.partition("\n\n")[0].splitlines() if ": " in line)
    try:
        return headers["Name"].strip(), headers["Version"].strip()
    except KeyError as error:
        raise ValueError(f"{wheel.name} states no {error.args[0]}") from error
