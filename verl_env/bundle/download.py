"""One file from its address to its place: resumed where a part of it is there, checked, and whole or not there."""

from __future__ import annotations

import errno
import time
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from verl_env.bundle.errors import BundleFileUnavailableError
from verl_env.environment.files import begin_writing
from verl_env.installers.failures import HashMismatchError
from verl_env.locksets.web import WebError, open_url
from verl_env.settings.mirrors import both, mirrored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from verl_env.bundle.lookup import Fetch
    from verl_env.locksets.web import WebAnswer

    class Digest(Protocol):
        """A running hash."""

        def update(self, data: bytes, /) -> None: ...
        def hexdigest(self) -> str: ...


#: Seconds without a byte before a server counts as silent.
TIMEOUT = 30.0
#: How often in a row a download may break off without a byte.
ATTEMPTS = 5
_CHUNK = 1 << 20
#: Bytes after which the disk begins to write them, while more come.
_BEGIN = 32 << 20
_PARTIAL, _BAD_RANGE = 206, 416
#: Failures of this host's own disk.
_OF_THIS_HOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO})


class CancelledError(Exception):
    """Another download failed, or the user interrupted."""


def part_of(path: Path) -> Path:
    """Where a file lies while it is not whole."""
    return path.with_name(f".{path.name}.part")


def download(fetch: Fetch, to: Path, progress: Callable[[int], None], stopped: Callable[[], bool]) -> tuple[str, int]:
    """Fetches a file; gives its SHA-256 and its size in bytes. What is there of it already is taken over.

    Args:
        fetch: What, from where, with which hash.
        to: Its place; the directory is there.
        progress: Called with the number of bytes that came, or negative with those that were dropped.
        stopped: Whether to give up between two chunks.

    Raises:
        BundleFileUnavailableError: the server does not answer, has no such file, or broke off again and again.
        HashMismatchError: it is another file than the recorded one.
        CancelledError: ``stopped`` said so.
    """
    address, part = mirrored(fetch.url), part_of(to)
    fruitless = 0
    while True:
        digest, have = _taken_over(part)
        progress(have)
        try:
            size = _continue(address, part, have, digest, lambda count: _tell(count, progress, stopped))
        except (WebError, OSError) as error:
            came = _came(part, error)
            progress(-max(have, came))
            fruitless = 0 if came > have else fruitless + 1
            if fruitless >= ATTEMPTS or not _passing(error):
                raise BundleFileUnavailableError(to.name, f"{both(fetch.url, address)} {_words(error)}") from error
            time.sleep(min(8.0, 0.25 * 2**fruitless))
            continue
        actual = digest.hexdigest()
        if not fetch.accepts(actual):
            part.unlink()
            need = f"sha256:{fetch.sha256}" if fetch.sha256 else " or ".join(sorted(fetch.hashes or ()))
            raise HashMismatchError(to.name, need, f"sha256:{actual}", both(fetch.url, address))
        part.replace(to)
        return actual, size


def _tell(count: int, progress: Callable[[int], None], stopped: Callable[[], bool]) -> None:
    progress(count)
    if stopped():
        raise CancelledError


def _taken_over(part: Path) -> tuple[Digest, int]:
    """The running hash and the size of what is there of a file."""
    digest, size = sha256(), 0
    with suppress(FileNotFoundError), part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest, size


def _continue(address: str, part: Path, have: int, digest: Digest, tell: Callable[[int], None]) -> int:
    """Fetches what is missing and appends it; the size of the whole."""
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with open_url(address, timeout=TIMEOUT, headers=headers) as answer:
        total = _total(answer, have)
        with part.open("ab") as file:
            size = begun = have
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                tell(len(chunk))
                if size - begun >= _BEGIN:
                    begun = size
                    begin_writing(file.fileno())
    if total is not None and size != total:
        raise WebError(f"broke off ({size} of {total} bytes came)")
    return size


def _total(answer: WebAnswer, have: int) -> int | None:
    """The size of the whole file; a server that does not go on where the part ends is refused.

    Raises:
        WebError: it sends the file from its beginning.
    """
    if not have:
        return answer.length
    began = answer.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    if answer.status != _PARTIAL or began != str(have):
        raise WebError("does not go on where a part ends", status=_BAD_RANGE)
    return None if answer.length is None else have + answer.length


def _came(part: Path, error: Exception) -> int:
    """The bytes that are there after a failure; a part that the server does not go on with is cleared."""
    if isinstance(error, WebError) and error.status == _BAD_RANGE:
        part.unlink(missing_ok=True)
    return part.stat().st_size if part.exists() else 0


def _passing(error: Exception) -> bool:
    """Whether another attempt may help."""
    if isinstance(error, WebError):
        return error.passing or error.status == _BAD_RANGE
    return getattr(error, "errno", None) not in _OF_THIS_HOST


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, WebError) else f"cannot be kept ({error})"
