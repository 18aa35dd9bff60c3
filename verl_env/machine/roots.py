"""Where a probe reads files: the real root of this host, or a tree that a test built."""

from __future__ import annotations

import os

from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


@record
class Roots:
    """The root under which every probe finds ``/proc``, ``/sys``, ``/dev``, ``/etc`` and the rest.

    Probes never raise for a path that is missing or may not be read: that is a fact about the machine, not a fault.
    They ask for hundreds of files, so that paths are strings here: ``pathlib`` takes longer than the kernel does.
    """

    root: str | Path = "/"

    def path(self, absolute: str) -> str:
        """The place of an absolute path of the probed host, ``"/sys/module"`` under this root."""
        return absolute if self.root == "/" else f"{self.root}/{absolute.lstrip('/')}"

    def read(self, absolute: str, *, max_bytes: int = 1 << 20) -> str | None:
        """The text of a small file, undecodable bytes replaced; None when it is missing or may not be read."""
        try:
            descriptor = os.open(self.path(absolute), os.O_RDONLY | os.O_CLOEXEC)
            try:
                return _all(descriptor, max_bytes).decode("utf-8", "replace")
            finally:
                os.close(descriptor)
        except (OSError, ValueError):
            return None

    def names(self, absolute: str) -> tuple[str, ...]:
        """The sorted entries of a directory; empty when it is missing or may not be read."""
        try:
            return tuple(sorted(os.listdir(self.path(absolute))))  # noqa: PTH208
        except (OSError, ValueError):
            return ()

    def exists(self, absolute: str) -> bool:
        """Whether a path can be seen; a path behind a closed directory cannot."""
        return os.path.exists(self.path(absolute))  # noqa: PTH110


def _all(descriptor: int, max_bytes: int) -> bytes:
    """A file to its end or to the limit; those of ``/proc`` come in pieces."""
    pieces, left = [], max_bytes
    while left and (piece := os.read(descriptor, min(left, 1 << 16))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
