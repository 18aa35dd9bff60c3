"""Where a probe reads files: the real root of this host, or a tree that a test built."""

from __future__ import annotations

from pathlib import Path

from verl_env.records import record


@record
class Roots:
    """The root under which every probe finds ``/proc``, ``/sys``, ``/dev``, ``/etc`` and the rest.

    Probes never raise for a path that is missing or may not be read: that is a fact about the machine, not a fault.
    """

    root: Path = Path("/")

    def path(self, absolute: str) -> Path:
        """The place of an absolute path of the probed host, ``"/sys/module"`` under this root."""
        return self.root / absolute.lstrip("/")

    def read(self, absolute: str, *, max_bytes: int = 1 << 20) -> str | None:
        """The text of a small file, undecodable bytes replaced; None when it is missing or may not be read."""
        try:
            with self.path(absolute).open("rb") as file:
                return file.read(max_bytes).decode("utf-8", "replace")
        except (OSError, ValueError):
            return None

    def names(self, absolute: str) -> tuple[str, ...]:
        """The sorted entries of a directory; empty when it is missing or may not be read."""
        try:
            return tuple(sorted(entry.name for entry in self.path(absolute).iterdir()))
        except (OSError, ValueError):
            return ()

    def exists(self, absolute: str) -> bool:
        """Whether a path can be seen; a path behind a closed directory cannot."""
        try:
            return self.path(absolute).exists()
        except (OSError, ValueError):
            return False
