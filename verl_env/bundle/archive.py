"""A bundle as one tar file: plain, so that its files can be checked and read where they lie."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from verl_env.bundle.make import make
from verl_env.bundle.model import BOOTSTRAP, MANIFEST
from verl_env.bundle.place import remove

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.bundle.contents import Planning
    from verl_env.bundle.gather import Progress
    from verl_env.bundle.model import Manifest


def make_archive(plannings: Sequence[Planning], file: Path, progress: Progress) -> Manifest:
    """Makes a bundle in a directory beside the file, and then the file of it; the directory goes.

    Raises:
        VerlEnvError: as ``make``; the directory stays, and the next run goes on with it.
        OSError: there is not enough room.
    """
    folder = file.with_name(f"{file.name}.d")
    manifest = make(plannings, folder, progress)
    part = file.with_name(f".{file.name}.part")
    with part.open("wb") as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name in _ordered(manifest):
                _add(tar, folder / name, name)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
    remove(folder)
    return manifest


def _ordered(manifest: Manifest) -> list[str]:
    """The script first, so that it is found at once; the manifest last."""
    paths = sorted((file.path for file in manifest.files), key=lambda path: (path != BOOTSTRAP, path))
    return [*paths, MANIFEST]


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    """Adds a file with nothing of this host: no owner, no time."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = path.stat().st_size, 0o644
    with path.open("rb") as file:
        tar.addfile(entry, file)
