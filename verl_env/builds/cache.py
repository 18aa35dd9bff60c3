"""Results of builds, kept by everything that makes them differ, and shared where the directory is.

    <directory>/<component>/<key>/build.json    what it was made from and its hash; written last
    <directory>/<component>/<key>/*.whl         a wheel; or prefix/, or source/

An entry appears by one rename, or counts only once its ``build.json`` is there: no reader sees a part of one. Its
files get the modes of the user's umask, so that a group can share a directory. One that may not be written is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from verl_env.environment.files import link_or_copy, replace_bytes
from verl_env.locking import StillHeldError, only_run
from verl_env.reading import json_of
from verl_env.records import record
from verl_env.settings.digests import first_use, remember
from verl_env.settings.owners import distrust
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

SCHEMA = 1
FILE = "build.json"
#: Seconds that a build waits for another one of the same thing: as long as the longest of them takes.
LOCK_SECONDS = 6 * 3600.0

_KEY_LENGTH = 20


@record
class CacheEntry:
    """A result: its path (a wheel, or a directory) and what ``build.json`` says of it."""

    path: Path
    record: Mapping[str, Any]


def key_of(facts: Mapping[str, Any]) -> str:
    """The name of an entry: a digest of its facts, in which any change of any of them shows."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:_KEY_LENGTH]


class BuildCache:
    """The results of builds in one or several directories.

    Args:
        directories: Looked into in this order; the first that may be written takes what is new.
        vouched: Whether somebody answers for what they hold: they came with a bundle, whose manifest has the hashes.

    Attributes:
        refused: Entries that would do and were not taken, with the reason.
    """

    def __init__(self, directories: Sequence[Path], *, vouched: bool = False) -> None:
        self.directories = tuple(dict.fromkeys(directories))
        self.vouched = vouched
        self.refused: dict[Path, str] = {}

    def take(self, name: str, facts: Mapping[str, Any], *, without: Sequence[str] = ()) -> CacheEntry | None:
        """The result with these facts, once it is certain that it is whole; None where there is none.

        Args:
            name: The component.
            facts: What it is made from.
            without: Facts that this host lacks (its compilers): a result that differs in these alone is taken too,
                the newest of several.
        """
        key = key_of(facts)
        for directory in self.directories:
            if (entry := self._trusted(directory, directory / name / key, facts)) is not None:
                return entry
        if not without:
            return None
        others = [(directory, each) for directory in self.directories for each in _entries(directory / name)]
        found = [entry for place in others if (entry := self._trusted(*place, facts, without)) is not None]
        return max(found, key=lambda entry: str(entry.record.get("made", "")), default=None)

    def _trusted(
        self, directory: Path, place: Path, facts: Mapping[str, Any], without: Sequence[str] = ()
    ) -> CacheEntry | None:
        """An entry that somebody trusted has made, and that is what it was when it was first taken.

        Raises:
            DigestChangedError: it is another one than before.
        """
        entry = _read(place, facts, without)
        if entry is None or self.vouched:
            return entry
        if (reason := distrust(place, directory, whole=True)) is not None:
            self.refused[place] = reason
            return None
        first_use(_address(place), entry.record["sha256"], str(entry.path), {})
        return entry

    def place(self, name: str, facts: Mapping[str, Any]) -> Path:
        """Where a new result belongs.

        Raises:
            OSError: no directory may be written.
        """
        refused: OSError | None = None
        for directory in self.directories:
            try:
                (directory / name).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                refused = error
                continue
            if (reason := distrust(directory / name, directory)) is not None:
                refused = PermissionError(13, reason, str(directory))
            elif os.access(directory / name, os.W_OK | os.X_OK):
                return directory / name / key_of(facts)
        raise refused or PermissionError(13, "may not be written", str(self.directories[0]))

    def put_wheel(self, wheel: Path, name: str, facts: Mapping[str, Any], **more: Any) -> CacheEntry:
        """Keeps a wheel; where another build was first, its result stays."""
        place = self.place(name, facts)
        part = place.with_name(f".{place.name}.{token_hex(8)}.part")
        part.mkdir()
        try:
            shutil.copyfile(wheel, part / wheel.name)
            record = {"file": wheel.name, "sha256": file_sha256(part / wheel.name), **more}
            _write(part, facts, record)
            with contextlib.suppress(OSError):
                part.rename(place)
                _keep_digest(place, record["sha256"])
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return self._trusted(place.parents[1], place, facts) or CacheEntry(wheel, record)

    def put_tree(self, place: Path, kind: str, facts: Mapping[str, Any], **more: Any) -> CacheEntry:
        """Declares a directory that was made in its place whole."""
        digest = tree_digest(place / kind)
        _write(place, facts, {"file": kind, "sha256": digest, **more})
        _keep_digest(place, digest)
        return CacheEntry(place / kind, {})

    @contextlib.contextmanager
    def locked(self, place: Path, waiting: Callable[[], None]) -> Iterator[None]:
        """Keeps two builds of one thing apart, where the file system can; the second then finds the result.

        What a build that was killed left of it goes, as nobody else is at work on it.

        Args:
            place: Where the result belongs.
            waiting: Called once, before waiting.
        """
        lock = place.with_name(f".{place.name}.lock")
        with contextlib.ExitStack() as stack:
            # A lock that another user made may not be opened here; the rename at the end is safe without.
            with contextlib.suppress(OSError, StillHeldError):
                stack.enter_context(only_run(lock, seconds=LOCK_SECONDS, waiting=waiting, mode=0o664))
                _clear_parts(place)
            yield


def _address(place: Path) -> str:
    """What the digest of an entry is kept by, wherever the cache lies."""
    return f"build:{place.parent.name}/{place.name}"


def _keep_digest(place: Path, digest: str) -> None:
    with contextlib.suppress(OSError, StillHeldError):
        remember(_address(place), digest)


def tree_digest(directory: Path) -> str:
    """A digest of the names and contents of a directory's files."""
    digest = sha256()
    for path in sorted(directory.rglob("*")):
        content = os.readlink(path) if path.is_symlink() else file_sha256(path) if path.is_file() else ""  # noqa: PTH115
        digest.update(f"{path.relative_to(directory).as_posix()}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def keep_source(path: Path, to: Path) -> Path:
    """Keeps a file of sources under a name, whole or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.{token_hex(8)}.part")
    try:
        link_or_copy(str(path), str(part))
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return to


def _clear_parts(place: Path) -> None:
    """Removes what was not finished of an entry."""
    for part in place.parent.glob(f".{place.name}.*.part"):
        shutil.rmtree(part, ignore_errors=True)


def _write(directory: Path, facts: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    data = {"schema": SCHEMA, **record, "facts": facts}
    replace_bytes(directory / FILE, json.dumps(data, indent=1).encode())


def _read(directory: Path, facts: Mapping[str, Any], without: Sequence[str] = ()) -> CacheEntry | None:
    """An entry whose record agrees with the facts and with the file it names."""
    try:
        record: dict[str, Any] = json_of((directory / FILE).read_bytes())
        path = directory / Path(record["file"]).name
        same = record["schema"] == SCHEMA and _but(record["facts"], without) == _but(_as_json(facts), without)
        if not same or record["sha256"] != (tree_digest(path) if path.is_dir() else file_sha256(path)):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return CacheEntry(path, record)


def _but(facts: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name not in without}


def _as_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they come back from a file: tuples as lists."""
    found: dict[str, Any] = json.loads(json.dumps(facts))
    return found


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
