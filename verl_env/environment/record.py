"""The RECORD of an installed distribution: which files are its own (PEP 376)."""

from __future__ import annotations

import csv
import io
import os
import re
from typing import TYPE_CHECKING

from verl_env.reading import note, read_bytes, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    #: A path as RECORD writes it, its hash and its size in bytes; None where RECORD has none.
    Entry: TypeAlias = tuple[str, str | None, int | None]

#: Path, hash, size.
_FIELDS = 3
#: A size of so many digits is none.
_DIGITS = 19

#: A line of a file outside site-packages.
_OUTSIDE = re.compile(rb'^"?\.\.[^\r\n]*', re.MULTILINE)


def read_record(folder: str) -> list[list[str]] | None:
    """The rows of a RECORD (path, hash, size), as they are written; None where it cannot be read.

    Args:
        folder: The ``.dist-info`` directory.
    """
    try:
        return _rows(read_bytes(f"{folder}/RECORD").decode("utf-8"))
    except (OSError, ValueError, csv.Error):
        return None


def recorded_files(folder: str) -> tuple[Entry, ...] | None:
    """The files that a RECORD lists, without byte code; None where it cannot be read, which is noted.

    Args:
        folder: The ``.dist-info`` directory.
    """
    file = f"{folder}/RECORD"
    try:
        return tuple(entries_of(read_text(file)))
    except OSError as error:
        note(file, error)
        return None


def entries_of(text: str) -> Iterator[Entry]:
    """The files that the text of a RECORD lists, without bytecode.

    Raises:
        OSError: it is no RECORD.
    """
    try:
        for row in _rows(text):
            if len(row) < _FIELDS or "__pycache__" in row[0] or row[0].endswith(".pyc"):
                continue
            path = row[0] if len(row) == _FIELDS else ",".join(row[:-2])  # commas that ought to be quoted
            digest, size = row[-2:]
            yield path, digest or None, int(size) if size.isascii() and size.isdigit() and len(size) < _DIGITS else None
    except csv.Error as error:
        raise OSError(str(error)) from error


def _rows(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


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
