"""What was done to an environment: one entry for each change that was put in force.

The entry of a change is written before the change is put in force, so that none is ever missing. One whose generation
was never put in force is told by that: what counts ends with the last entry of the generation that is in force.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from verl_env.credentials import hide_secrets_in
from verl_env.environment.files import replace_bytes
from verl_env.reading import json_of, read_bytes
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Literal

    ChangeKind = Literal["+", "-", "~"]


SCHEMA = 1


@record
class Change:
    """One line of ``+ - ~``: a package that is added, removed, or changed from ``old`` to ``new``.

    The versions may carry a remark on the origin: ``2.7.4 (from file:///wheels/...)``.
    """

    kind: ChangeKind
    name: str
    old: str | None
    new: str | None


@record
class Entry:
    """One change: when (UTC) and by whom, the command, the lockset before and after, and the generation it made.

    ``replaced`` is the generation that it took the place of, None for the first; ``packages`` are the changes of
    packages, each with ``kind``, ``name``, ``old`` and ``new``. A lockset is None where there was no record.
    """

    when: str
    who: str
    command: str
    before: str | None
    after: str | None
    generation: str
    replaced: str | None
    packages: tuple[dict[str, str | None], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The entry as it is written, and shown by ``verl-env history --json``."""
        who = {"when": self.when, "who": self.who, "command": self.command, "from": self.before, "to": self.after}
        return {**who, "generation": self.generation, "replaced": self.replaced, "packages": list(self.packages)}


def read_entries(file: Path, current: str | None) -> tuple[Entry, ...]:
    """The changes that were put in force, the oldest first.

    Args:
        file: The history.
        current: The generation in force.
    """
    try:
        data = json_of(read_bytes(file))
        entries = [_entry(each) for each in data["changes"]] if data["schema"] == SCHEMA else []
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    ends = [number for number, entry in enumerate(entries, 1) if entry.generation == current]
    return tuple(entries[: ends[-1]]) if ends else ()


def write_entries(file: Path, entries: Sequence[Entry]) -> None:
    """Replaces the history in one step; secrets of a command line are not written down."""
    data = {"schema": SCHEMA, "changes": [each.to_json() for each in entries]}
    replace_bytes(file, json.dumps(hide_secrets_in(data)).encode())


def user() -> str:
    """Who runs this process, and where."""
    import getpass  # noqa: PLC0415 (only what changes something needs these)
    import os  # noqa: PLC0415
    import socket  # noqa: PLC0415

    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def as_json(changes: Sequence[Change]) -> tuple[dict[str, str | None], ...]:
    """Changes of packages as they are written."""
    return tuple({"kind": each.kind, "name": each.name, "old": each.old, "new": each.new} for each in changes)


def _entry(data: dict[str, Any]) -> Entry:
    return Entry(
        data["when"],
        data["who"],
        data["command"],
        data["from"],
        data["to"],
        data["generation"],
        data["replaced"],
        tuple(data.get("packages", ())),
    )
