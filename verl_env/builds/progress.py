"""How far a build is, read from what it prints: ninja and cmake count their steps."""

from __future__ import annotations

import re

#: ``[12/73] nvcc ...`` of ninja; ``[ 16%] Building ...`` of make, as CMake writes its files.
_STEP = re.compile(rb"^[ \t]*(?:\[ *(\d{1,7})/(\d{1,7})\]|\[ *(\d{1,3})%\]) ", re.MULTILINE)
#: Bytes of an unfinished line that are kept; counts stand at its beginning.
_LINE = 4096


class BuildSteps:
    """Reads output as it comes; ``done`` and ``total`` are the last step that was told, None before the first.

    A build may count several times, for each of its extensions; ``total`` is that of the present one.
    """

    def __init__(self) -> None:
        self.done: int | None = None
        self.total: int | None = None
        self._rest = b""

    def feed(self, data: bytes) -> bool:
        """Takes a piece of the output; whether the count changed."""
        before = (self.done, self.total)
        *lines, rest = (self._rest + data.replace(b"\r", b"\n")).split(b"\n")
        self._rest = rest[:_LINE]
        for match in _STEP.finditer(b"\n".join([*lines, b""])):
            count, of, percent = match.groups()
            self.done, self.total = (int(percent), 100) if percent else (int(count), int(of))
        return (self.done, self.total) != before
