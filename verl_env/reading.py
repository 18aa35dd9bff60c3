"""Files of others, read so that nothing they are can hang or flood: regular files only, up to a size.

A FIFO where a file is expected would be waited for without end, a device read for ever. What was there and could not
be read is kept in ``unread`` until ``forget``: "healthy" may be said only of what was looked at.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, BinaryIO

#: Bytes of a text file at most: the longest RECORD of a published wheel has 6 MB.
LIMIT = 64 << 20

_UNREAD: dict[str, str] = {}
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR}
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def open_regular(path: str | Path) -> BinaryIO:
    """A regular file, open for reading.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    _refuse_kind(os.stat(path).st_mode, path)  # noqa: PTH116 (opening some devices does something)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _refuse_kind(os.fstat(descriptor).st_mode, path)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_bytes(path: str | Path, limit: int = LIMIT) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: it cannot be read, is no regular file, or is longer than the limit in bytes.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"is longer than {limit >> 10} kB", str(path))
    return data


def read_text(path: str | Path, limit: int = LIMIT) -> str:
    """The content of a regular file as UTF-8; what is none of that is replaced. Raises as ``read_bytes`` does."""
    return read_bytes(path, limit).decode("utf-8", "replace").replace("\r\n", "\n")


def text_or_none(path: str | Path, limit: int = LIMIT) -> str | None:
    """The text of a file; None where there is none, or none that can be read, which is noted."""
    try:
        return read_text(path, limit)
    except OSError as error:
        note(path, error)
        return None


def note(path: str | Path, error: OSError) -> None:
    """Keeps in mind that a file is there and could not be read."""
    if error.errno not in _NOT_THERE:
        _UNREAD.setdefault(str(path), error.strerror or str(error))


def unread() -> dict[str, str]:
    """What is there and could not be read since ``forget``, with the reason."""
    return dict(_UNREAD)


def forget() -> None:
    """Begins anew."""
    _UNREAD.clear()


def what_is(path: str | Path) -> str:
    """What lies at a path, as the end of a sentence: ``not there``, ``a file``, ``an empty directory``, ``a FIFO``."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                return "a directory" if next(entries, None) else "an empty directory"
    except (OSError, ValueError) as error:
        if os.path.islink(path):  # noqa: PTH114
            return "a link that leads nowhere"
        if isinstance(error, ValueError) or error.errno in _NOT_THERE:
            return "not there"
        return f"not to be read ({error.strerror})"
    return "a file" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no file")


def json_of(data: bytes | str) -> Any:
    """Decoded JSON.

    Raises:
        ValueError: it is none, or none that can be read: nested too deep, a number of thousands of digits.
    """
    import json  # noqa: PLC0415 (most that reads files needs none)

    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse_kind(mode: int, path: str | Path) -> None:
    if not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        kind = "a directory" if stat.S_ISDIR(mode) else _KINDS.get(stat.S_IFMT(mode), "no file")
        raise OSError(code, f"is {kind}, and not a file", str(path))
