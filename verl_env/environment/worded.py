"""What the file system refuses, as errors with an id."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from verl_env.environment.errors import DiskFullError, TargetPermissionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.environment.target import Target

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def worded(target: Target) -> Iterator[None]:
    """Turns what the file system refuses into errors with an id.

    Raises:
        DiskFullError: there is no room, or a quota is used up.
        TargetPermissionError: something may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(target.path.parent, quota=error.errno == errno.EDQUOT) from error
        if error.errno in _FORBIDDEN:
            raise TargetPermissionError(target.path, f"{error.filename or target.store}: {error.strerror}") from error
        raise
