"""What an installed distribution states of itself: METADATA, WHEEL, INSTALLER, direct_url.json; read here alone.

``packaging.metadata.parse_email`` takes 0.4 ms for each of hundreds of distributions, ten times as long, and
``packaging.direct_url`` 20 ms to be imported by a run that has nothing to do: a test holds both to the answers of
this module instead.
"""

from __future__ import annotations

import io

from verl_env.reading import json_of, note, read_bytes, text_or_none
from verl_env.records import record


@record
class Metadata:
    """Core metadata as far as it is used: ``requires`` are Requires-Dist lines, ``extras`` those that are provided."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requires_python: str | None = None


@record
class DirectUrl:
    """Where a distribution came from that no index gave (PEP 610); where that cannot be read, ``url`` says so."""

    url: str
    editable: bool = False
    readable: bool = True


def headers(text: str) -> dict[str, list[str]]:
    """The fields of a metadata file by lower-case name; the body and folded lines are left out."""
    found: dict[str, list[str]] = {}
    for line in io.StringIO(text, newline=None):
        if line == "\n":
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            found.setdefault(name.lower(), []).append(value.strip())
    return found


def metadata_of(text: str, name: str, version: str) -> Metadata:
    """What a METADATA or PKG-INFO states; ``name`` and ``version`` where it does not say."""
    fields = headers(text)

    def first(field: str, default: str) -> str:
        return fields.get(field, (default,))[0]

    return Metadata(
        first("name", name),
        first("version", version),
        tuple(fields.get("requires-dist", ())),
        tuple(fields.get("provides-extra", ())),
        first("requires-python", "") or None,
    )


def read_tags(folder: str) -> tuple[str, ...]:
    """The tags of the wheel that a ``.dist-info`` came from: ``cp310-cp310-linux_x86_64``."""
    return tuple(headers(_text(f"{folder}/WHEEL")).get("tag", ()))


def read_installer(folder: str) -> str | None:
    """Who wrote a ``.dist-info``: ``pip``, ``uv``; None where nobody says."""
    return _text(f"{folder}/INSTALLER").strip() or None


def read_origin(folder: str) -> DirectUrl | None:
    """Where the distribution of a ``.dist-info`` came from; None where that was an index."""
    file = f"{folder}/direct_url.json"
    try:
        data = json_of(read_bytes(file))
        return DirectUrl(str(data["url"]), bool(data.get("dir_info", {}).get("editable", False)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        note(file, error)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return DirectUrl("an address that cannot be read", readable=False)


def _text(path: str) -> str:
    return text_or_none(path) or ""
