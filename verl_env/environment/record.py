"""The RECORD of an installed distribution: which files are its own (PEP 376)."""

from __future__ import annotations

import csv
import io
import os
import re
from typing import TYPE_CHECKING

from verl_env.reading import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: A line of a file outside site-packages.
_OUTSIDE = re.compile(rb'^"?\.\.[^\r\n]*', re.MULTILINE)


def read_record(folder: str) -> list[list[str]] | None:
    """The rows of a RECORD (path, hash, size), as they are written; None where it cannot be read.

    Args:
        folder: The ``.dist-info`` directory.
    """
    try:
        text = read_bytes(f"{folder}/RECORD").decode("utf-8")
        return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except (OSError, ValueError, csv.Error):
        return None


def update_record(folder: str, facts: Callable[[str], tuple[str, int] | None]) -> bytes | None:
    """The content of a RECORD with other hashes and sizes for some scripts; None where nothing changes.

    Args:
        folder: The ``.dist-info`` directory.
        facts: Gives hash and size for the path of a file outside site-packages (``../../../bin/ray``), or None where
            it did not change. Other lines stay as they are, byte for byte.
    """
    try:
        content = read_bytes(f"{folder}/RECORD")
    except OSError:
        return None

    def line(match: re.Match[bytes]) -> bytes:
        path = next(csv.reader([match[0].decode("utf-8", "surrogateescape")]))[0]
        new = facts(path)
        return match[0] if new is None else _line(path, *new)

    updated = _OUTSIDE.sub(line, content)
    return None if updated == content else updated


def relative_to_environment(path: str, site: Path, environment: Path) -> str | None:
    """A path of a RECORD relative to the environment; None where it points out of it.

    Paths in a RECORD are relative to site-packages (``../../../bin/ray``); absolute ones occur too.
    """
    root = f"{environment}/"
    if path[:1] in "/." or "/." in path or "//" in path or path[-1:] == "/":
        full = os.path.normpath(os.path.join(site, path))  # noqa: PTH118 (pathlib keeps the dots)
    else:  # most of 50,000, for which the above takes seconds
        full = f"{site}/{path}"
    return full[len(root) :] if full.startswith(root) else None


def _line(path: str, digest: str, size: int) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([path, digest, size])
    return text.getvalue().encode("utf-8", "surrogateescape")


def record_hash(content: bytes) -> str:
    """The hash of a file as RECORD holds it: ``sha256=`` and unpadded URL-safe base64 (PEP 376)."""
    from base64 import urlsafe_b64encode  # noqa: PLC0415
    from hashlib import sha256  # noqa: PLC0415

    return f"sha256={urlsafe_b64encode(sha256(content).digest()).rstrip(b'=').decode()}"
