"""Where objects look for their libraries: ``$ORIGIN`` is the place of the name that is opened, a link's too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfError, read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def leads_away(site: Path, files: Iterable[str]) -> tuple[str, str] | None:
    """The first object with a library path from itself to a directory elsewhere, and that path; None where none has.

    Args:
        site: A directory of packages.
        files: Paths below it.
    """
    for path in files:
        if ".so" not in path.rpartition("/")[2]:
            continue
        try:
            elf = read_elf(site / path)
        except (ElfError, OSError):
            continue
        for entry in (*elf.rpath, *elf.runpath):
            plain = entry.replace("${ORIGIN}", "$ORIGIN")
            place = os.path.normpath(plain.replace("$ORIGIN", os.path.dirname(f"{site}/{path}")))  # noqa: PTH120
            if "$ORIGIN" in plain and not f"{place}/".startswith(f"{site}/") and os.path.isdir(place):  # noqa: PTH112
                return path, entry
    return None
