"""Where a user's files are: the XDG Base Directory Specification, 0.8. A value that is set counts as it stands."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DEFAULTS = {
    "XDG_CACHE_HOME": "~/.cache",
    "XDG_CONFIG_HOME": "~/.config",
    "XDG_DATA_HOME": "~/.local/share",
    "XDG_STATE_HOME": "~/.local/state",
}


def user_folder(variable: str, env: Mapping[str, str] = os.environ) -> str:
    """The directory that a variable names, or its default; where nobody knows the home directory, ``~`` stays in it."""
    return env.get(variable) or os.path.expanduser(_DEFAULTS[variable])  # noqa: PTH111 (a plan needs no pathlib)


def user_directory(variable: str, env: Mapping[str, str] = os.environ) -> Path:
    """``user_folder`` as a path.

    Raises:
        RuntimeError: the default is wanted, and nobody knows the home directory.
    """
    from pathlib import Path  # noqa: PLC0415

    named = env.get(variable)
    return Path(named) if named else Path(_DEFAULTS[variable]).expanduser()


def from_here(path: Path | str) -> str:
    """A path as one writes it in the current directory: relative below it, else whole; whole where it is gone, too."""
    try:
        relative = os.path.relpath(path)
    except FileNotFoundError:
        return str(path)
    return str(path) if relative.startswith("..") else relative
