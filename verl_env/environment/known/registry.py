"""The environments of a user, remembered by path: a file each in ``$XDG_STATE_HOME/verl-env/environments``.

Each change that is put in force writes its environment down, so that nobody has to search for them. A directory of
small files needs no lock; what is damaged or cannot be written is passed over, as nothing but ``verl-env list`` rests
on it. A home directory may be that of many hosts: so each file names the one that it was written on.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.target import Target
from verl_env.places import user_directory
from verl_env.reading import json_of, read_bytes
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
#: Bytes of one file that are read.
_BYTES = 1 << 16


@record
class Known:
    """An environment that was made: its absolute path, and the host that wrote it down."""

    path: Path
    host: str


def registry_directory(env: Mapping[str, str] = os.environ) -> Path:
    """Where environments are written down (XDG Base Directory Specification, 0.8)."""
    base = user_directory("XDG_STATE_HOME", env)
    return (base if base.is_absolute() else user_directory("XDG_STATE_HOME", {})) / "verl-env" / "environments"


def register(path: Path) -> None:
    """Writes an environment down that is not yet; where that cannot be done it is not listed, and nothing else."""
    with suppress(OSError, RuntimeError):
        if _file(path).exists():
            return
    import json  # noqa: PLC0415 (only what changes an environment needs these)
    import socket  # noqa: PLC0415

    from verl_env.environment.files import replace_bytes  # noqa: PLC0415

    text = json.dumps({"schema": SCHEMA, "path": os.fsdecode(path), "host": socket.gethostname()})
    with suppress(OSError, RuntimeError, UnicodeError):
        file = _file(path)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_bytes(file, text.encode())


def forget(path: Path) -> None:
    """Takes an environment out of what is listed."""
    with suppress(OSError, RuntimeError):
        _file(path).unlink(missing_ok=True)


def known() -> tuple[Known, ...]:
    """What is written down and still there, by path; what was removed otherwise is forgotten here.

    What this host cannot see, because another one made it or its file system is not there now, is kept and not
    forgotten: ``Known.host`` says whose it is.
    """
    found = []
    for file in _files():
        with suppress(OSError, ValueError, KeyError, TypeError):
            data = json_of(read_bytes(file, _BYTES))
            each = Known(Path(data["path"]), str(data["host"]))
            if data["schema"] != SCHEMA or not each.path.is_absolute():
                continue
            if _gone(each):
                forget(each.path)
            else:
                found.append(each)
    return tuple(sorted(found, key=lambda each: str(each.path)))


def _gone(known: Known) -> bool:
    """Whether an environment was removed: neither it nor its store is there, where its directory is, on its host."""
    import socket  # noqa: PLC0415

    target = Target(known.path)
    there = os.path.lexists(target.path) or target.store.exists()
    return not there and target.path.parent.is_dir() and known.host == socket.gethostname()


def _files() -> list[Path]:
    try:
        return sorted(registry_directory().glob("*.json"))
    except (OSError, RuntimeError):
        return []


def _file(path: Path) -> Path:
    from hashlib import sha256  # noqa: PLC0415

    return registry_directory() / f"{sha256(os.fsencode(path)).hexdigest()[:32]}.json"
