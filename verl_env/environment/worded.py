"""What the file system refuses, as errors with an id."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from verl_env.environment.errors import DiskFull, TargetPermission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.environment.target import Target

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def worded(target: Target) -> Iterator[None]:
    """Turns what the file system refuses into errors with an id.

    Raises:
        DiskFull: there is no room, or a quota is used up.
        TargetPermission: something may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(target.path.parent, quota=error.errno == errno.EDQUOT) from error
        if error.errno in _FORBIDDEN:
            raise TargetPermission(target.path, f"{error.filename or target.store}: {error.strerror}") from error
        raise
