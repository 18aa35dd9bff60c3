"""What a lock needs to know of a file on the index: its METADATA and its sizes, without downloading it.

The central directory of a wheel is read by range requests; where a server knows no ranges the file is read whole.
What was learnt is kept on disk by the file's SHA-256, so that a second lock reads next to nothing.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING

from verl_env.locksets.errors import IndexUnreachableError
from verl_env.locksets.web import fetch
from verl_env.places import user_directory
from verl_env.records import record

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.locksets.index import IndexFile

#: How much of the end of a wheel is asked for first: the directory of all but the largest.
TAIL = 128 * 1024
_PARTIAL = 206


@record
class WheelFacts:
    """METADATA (empty for a source archive) and sizes in bytes: the file, and what it unpacks to."""

    metadata: str
    download_bytes: int
    disk_bytes: int


def cache_directory() -> Path:
    """Where learnt facts are kept."""
    return user_directory("XDG_CACHE_HOME") / "verl-env" / "metadata"


def wheel_facts(file: IndexFile, cache: Path | None = None) -> WheelFacts:
    """The facts of a file on the index, from the cache where it has them.

    Args:
        file: a wheel, or a source archive.
        cache: another cache directory than the default one.

    Raises:
        IndexUnreachableError: it cannot be read, or is no archive.
    """
    kept = (cache or cache_directory()) / f"{file.sha256}.json" if file.sha256 else None
    if kept and (known := _kept(kept)):
        return known
    try:
        facts = _of_wheel(file.url) if file.is_wheel else _of_archive(file)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, UnicodeDecodeError) as error:
        raise IndexUnreachableError(file.url, f"is no wheel or source archive ({error})") from error
    if kept:
        _keep(kept, facts)
    return facts


def _kept(file: Path) -> WheelFacts | None:
    try:
        return WheelFacts(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _keep(file: Path, facts: WheelFacts) -> None:
    """Write the cache entry in one step, for other threads and other locks may write the same one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    content = {name: getattr(facts, name) for name in ("metadata", "download_bytes", "disk_bytes")}
    draft.write_text(json.dumps(content))
    draft.replace(file)


def _of_wheel(url: str) -> WheelFacts:
    remote = RemoteFile(url)
    with zipfile.ZipFile(io.BufferedReader(remote, 64 * 1024)) as wheel:
        inside = wheel.infolist()
        metadata = wheel.read(_metadata_name(wheel)).decode()
    return WheelFacts(metadata, remote.size, sum(entry.file_size for entry in inside))


def _metadata_name(wheel: zipfile.ZipFile) -> str:
    for name in wheel.namelist():
        if name.count("/") == 1 and name.endswith(".dist-info/METADATA"):
            return name
    raise KeyError("no METADATA")


def _of_archive(file: IndexFile) -> WheelFacts:
    """Source archives are small and read whole; what they hold stands for what is built of them."""
    content = fetch(file.url).content
    if file.name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            disk = sum(entry.file_size for entry in archive.infolist())
    else:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            disk = sum(member.size for member in archive)
    return WheelFacts("", len(content), disk)


class RemoteFile(io.RawIOBase):
    """A file on a server, read by range requests; its tail is read ahead, for that is where archives begin.

    Args:
        url: its address; ``file:`` works too.

    Raises:
        IndexUnreachableError: it cannot be read.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._position = 0
        answer = fetch(url, {"Range": f"bytes=-{TAIL}"})
        total = answer.headers.get("content-range", "").rpartition("/")[2]
        self.size = int(total) if answer.status == _PARTIAL and total.isdigit() else len(answer.content)
        self._tail = answer.content
        self._tail_start = self.size - len(answer.content)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, as any file does."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer from the tail that is here, or by one request."""
        end = min(self._position + len(buffer), self.size)
        length = max(end - self._position, 0)
        if not length:
            return 0
        if self._position >= self._tail_start:
            start = self._position - self._tail_start
            content = self._tail[start : start + length]
        else:
            content = fetch(self._url, {"Range": f"bytes={self._position}-{end - 1}"}).content
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
