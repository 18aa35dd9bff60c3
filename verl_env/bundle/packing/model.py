"""What a packed prefix says of itself, in ``verl-env-pack.json`` at its root."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from verl_env.bundle.packing.errors import PackInvalidError
from verl_env.reading import json_of, read_bytes
from verl_env.records import as_dict, record
from verl_env.shapes import FieldError, count, number, shape, text, texts

if TYPE_CHECKING:
    from pathlib import Path

FILE = "verl-env-pack.json"
#: SHA-256, mode and path of every file, one a line; links have their target in place of a digest.
FILES = "verl-env-pack.files"
FORMAT = 1
#: Characters of a wrong value in a message at most.
_SHOWN = 200


@record
class Pack:
    """A packed prefix.

    ``glibc`` is the least that its interpreter and packages ask for by symbol version; ``libraries`` are the shared
    libraries of the host that the interpreter does not do without; ``optional`` those that packages and seldom used
    modules take, those of drivers among them; ``made`` is where the environment was.
    """

    lockset: str
    stack: str
    python: str
    arch: str
    glibc: str | None
    libraries: tuple[str, ...]
    optional: tuple[str, ...]
    files: int
    bytes: int
    tool: str
    made: str
    format: int = FORMAT


def to_bytes(pack: Pack) -> bytes:
    """The description as it is stored."""
    return (json.dumps(as_dict(pack), indent=1) + "\n").encode()


def read_pack(prefix: Path) -> Pack | None:
    """What a directory says of itself; None where it is no packed prefix.

    Raises:
        PackInvalidError: it says something that cannot be read.
    """
    try:
        content = read_bytes(prefix / FILE)
    except OSError:
        return None
    try:
        table = json_of(content)
        if count(table["format"]) > FORMAT:
            raise PackInvalidError(prefix, f"its format is {table['format']}, which this verl-env does not know")
        return _DECODE(table)
    except FieldError as error:
        raise PackInvalidError(prefix, f"{FILE}: {error.key or 'format'} {error.reason[:_SHOWN]}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PackInvalidError(prefix, f"{FILE} cannot be read ({error})") from error


def _glibc(value: object) -> str | None:
    return None if value is None else number(value)


_DECODE = shape(
    Pack,
    {
        **dict.fromkeys(("lockset", "stack", "arch", "tool", "made"), text),
        "python": number,
        "glibc": _glibc,
        "libraries": texts,
        "optional": texts,
        "files": count,
        "bytes": count,
        "format": count,
    },
)
