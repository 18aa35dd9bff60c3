"""Makes a generation speak of the path that users name.

Installers write the path of the environment into scripts (``bin/*``), and venv into ``activate`` and ``pyvenv.cfg``. A
generation is made at ``.venv.d/0003`` and used as ``.venv``: every text that names the former is rewritten to the
latter, and the RECORDs that hold the hashes of rewritten scripts are brought up to date.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from verl_env.environment.files import rewrite_bytes
from verl_env.environment.record import record_hash, relative_to_environment, update_record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Texts are scripts; what holds a zero byte in its first block is a program.
_BLOCK = 4096


def relocate(environment: Path, site: Path, *, names: Iterable[Path], to: Path) -> tuple[str, ...]:
    """Rewrites every text of an environment that names it by an old path.

    Files are replaced, never written into: they may share their content with another generation.

    Args:
        environment: Where the files are.
        site: Its site-packages directory.
        names: The paths to replace; each counts only as a whole path, not as the beginning of a longer name.
        to: The path to put in their place.

    Returns:
        The rewritten files, relative to the environment.
    """
    paths = {os.fsencode(form) for name in names for form in (name, name.parent.resolve() / name.name)}
    pattern = re.compile(b"(?:%s)(?![\\w.-])" % b"|".join(map(re.escape, sorted(paths, key=len, reverse=True))))
    files = [environment / "pyvenv.cfg", *sorted((environment / "bin").glob("*"))]
    changed = {
        str(file.relative_to(environment)): new
        for file in files
        if file.is_file() and not file.is_symlink() and (new := _rewrite(file, pattern, os.fsencode(to))) is not None
    }
    if changed:
        _update_records(environment, site, changed)
    return tuple(changed)


def _rewrite(file: Path, pattern: re.Pattern[bytes], to: bytes) -> bytes | None:
    """The new content of a file, once written; None where nothing had to change."""
    with file.open("rb") as opened:
        head = opened.read(_BLOCK)
        if b"\0" in head:
            return None
        content = head + opened.read()
    new = pattern.sub(lambda _: to, content)
    if new == content:
        return None
    rewrite_bytes(file, new)
    return new


def _update_records(environment: Path, site: Path, changed: dict[str, bytes]) -> None:
    """Puts hash and size of the changed files into the RECORDs that list them."""

    def facts(path: str) -> tuple[str, int] | None:
        content = changed.get(relative_to_environment(path, site, environment) or "")
        return None if content is None else (record_hash(content), len(content))

    for folder in site.glob("*.dist-info"):
        record = update_record(str(folder), facts)
        if record is not None:
            rewrite_bytes(folder / "RECORD", record)
