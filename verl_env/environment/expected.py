"""What the RECORDs of an environment list, read once: the next look at all of its files need not read them again.

``files.verl-env.json`` in the environment is written when a generation is put in force. Of each distribution it holds
the digest of the RECORD that was read, and what tells the file: what has another one now is read anew, so that the file
can be old, foreign or gone without harm.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256
from typing import TYPE_CHECKING

from verl_env.environment.files import replace_bytes
from verl_env.environment.record import entries_of
from verl_env.reading import json_of, note, read_bytes
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from verl_env.environment.installed import Distribution

FILE = "files.verl-env.json"
SCHEMA = 1
#: The size of a script: any but zero, as installers and relocation write scripts anew.
NOT_EMPTY = -1
#: What installers write into a metadata directory of themselves, and rewrite.
_REWRITTEN = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"})
_METADATA = ".dist-info"
_SIZES = frozenset({int, type(None)})
#: What lies outside of the environment.
_OUTSIDE = "../../../.."
#: A line as nearly all are: folder, name, hash, size; the rest is read as CSV.
_LINE = re.compile(r'^((?:[^",\n]*/)?)([^",\n/]+),[^",\n]*,(\d{1,18}|)$\n?', re.MULTILINE | re.ASCII)


@record
class Expected:
    """The files that a distribution must have: by folder as RECORD names it, each with its size in bytes.

    A size of None is any, ``NOT_EMPTY`` any but zero. ``record`` is the digest of the RECORD that says so, ``stamp``
    its inode, size and time of change: while these are the same it is not read.
    """

    record: str
    folders: Mapping[str, Mapping[str, int | None]]
    stamp: str = ""


def expected_files(have: Mapping[str, Distribution], read: dict[str, Expected]) -> dict[str, Expected | None]:
    """What each whole distribution of a directory must have, by name; None where its RECORD cannot be read.

    Args:
        have: What is installed.
        read: What was read of it before; what is read now is put into it.
    """
    found: dict[str, Expected | None] = {}
    for name, each in have.items():
        if each.whole:
            found[name] = now = _expected(f"{each.folder}/RECORD", read.get(name))
            if now is not None:
                read[name] = now
    return found


def kept_files(environment: Path) -> dict[str, Expected]:
    """What was read of an environment's RECORDs when it was put in force; nothing where nobody knows."""
    try:
        data = json_of(read_bytes(environment / FILE))
        if data["schema"] != SCHEMA:
            return {}
        return {
            name: Expected(str(each["record"]), _folders(each["folders"]), str(each.get("stamp", "")))
            for name, each in data["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep_files(environment: Path, expected: Mapping[str, Expected | None]) -> None:
    """Writes what was read into an environment.

    Raises:
        OSError: it cannot be written.
    """
    files = {
        name: {"record": each.record, "stamp": each.stamp, "folders": each.folders}
        for name, each in expected.items()
        if each is not None
    }
    replace_bytes(environment / FILE, json.dumps({"schema": SCHEMA, "files": files}, separators=(",", ":")).encode())


def _expected(file: str, before: Expected | None) -> Expected | None:
    try:
        found = os.stat(file)  # noqa: PTH116 (of each of hundreds)
        stamp = f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"
        if before is not None and before.stamp == stamp:
            return before
        content = read_bytes(file)
        digest = sha256(content).hexdigest()
        if before is not None and before.record == digest:
            return Expected(digest, before.folders, stamp)
        return Expected(digest, dict(_by_folder(content.decode("utf-8", "replace").replace("\r\n", "\n"))), stamp)
    except OSError as error:
        note(file, error)
        return None


def _by_folder(text: str) -> Iterator[tuple[str, dict[str, int | None]]]:
    """The files of each folder that the text of a RECORD lists and that count; only odd lines are read as CSV.

    Raises:
        OSError: it is no RECORD.
    """
    found: dict[str, dict[str, int | None]] = {}
    last, files = None, {}
    for folder, name, size in _LINE.findall(text):
        if folder != last:
            last, files = folder, found.setdefault(folder[:-1], {})
        files[name] = int(size) if size else None
    for path, _, size in entries_of(_LINE.sub("", text)):
        folder, _, name = path.rpartition("/")
        if name:
            found.setdefault(folder, {})[name] = size
    for folder, files in found.items():
        if folder[:1] == "/" or folder.startswith(_OUTSIDE) or "__pycache__" in folder:
            continue
        for name in _REWRITTEN & files.keys() if folder[-10:] == _METADATA else ():
            del files[name]
        if files:
            plain = os.path.normpath(folder) if folder else folder
            yield plain, dict.fromkeys(files, NOT_EMPTY) if folder[:3] == "../" else files


def _folders(data: Mapping[str, Mapping[str, int | None]]) -> Mapping[str, Mapping[str, int | None]]:
    if not all(_SIZES.issuperset(map(type, files.values())) for files in data.values()):
        raise ValueError("a size is no number")
    return data
