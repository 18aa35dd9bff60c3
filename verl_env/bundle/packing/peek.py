"""What a pack says of itself, read without unpacking the rest."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.bundle.packing.errors import PackInvalidError
from verl_env.bundle.packing.image import kind_of
from verl_env.bundle.packing.model import FILE, read_pack

if TYPE_CHECKING:
    from verl_env.bundle.packing.model import Pack

_SECONDS = 60.0


def peek(file: Path) -> Pack | None:
    """The description of a pack; None where it cannot be told without unpacking all: a tar file, or no unsquashfs.

    Raises:
        PackInvalidError: it is no pack.
    """
    if kind_of(file) != "squashfs":
        return None
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder, "pack")
        argv = ["unsquashfs", "-no-progress", "-no-xattrs", "-quiet", "-d", str(to), str(file), FILE]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return None
        described = read_pack(to)
        if described is None:
            said = next(iter(done.stderr.strip().splitlines()[-1:]), "") if done.returncode else ""
            raise PackInvalidError(file, said or f"it has no {FILE}")
        return described
