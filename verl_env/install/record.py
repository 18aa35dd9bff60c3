"""The RECORD of an installed distribution: which files are its own (PEP 376)."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_record(folder: str) -> list[list[str]] | None:
    """The rows of a RECORD (path, hash, size), as they are written; None where it cannot be read.

    Args:
        folder: The ``.dist-info`` directory.
    """
    try:
        with open(f"{folder}/RECORD", encoding="utf-8", newline="") as file:  # noqa: PTH123
            return [row for row in csv.reader(file) if row]
    except (OSError, ValueError, csv.Error):
        return None


def format_record(rows: list[list[str]]) -> str:
    """The text of a RECORD with these rows."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def relative_to_environment(path: str, site: Path, environment: Path) -> str | None:
    """A path of a RECORD relative to the environment; None where it points out of it.

    Paths in a RECORD are relative to site-packages (``../../../bin/ray``); absolute ones occur too.
    """
    root = f"{environment}/"
    full = os.path.normpath(os.path.join(site, path))  # noqa: PTH118 (pathlib keeps the dots)
    return full[len(root) :] if full.startswith(root) else None
