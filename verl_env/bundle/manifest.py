"""The manifest as JSON: read with every key checked, written the same for the same contents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from verl_env.bundle.errors import BundleInvalidError
from verl_env.bundle.model import FORMAT, File, Manifest, NativeWay, Planned
from verl_env.credentials import without_credentials_in
from verl_env.reading import json_of
from verl_env.records import as_dict
from verl_env.shapes import FieldError, count, flag, many, one_of, sha256, shape, text, texts

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.shapes import Decoder


def to_bytes(manifest: Manifest) -> bytes:
    """The manifest as it is stored; it holds no time and no path of a host, so that equal bundles are equal."""
    document = {
        "format": FORMAT,
        "verl_env": manifest.tool,
        "tool_pythons": list(manifest.tool_pythons),
        "bytes": manifest.bytes,
        "plans": [as_dict(plan) for plan in manifest.plans],
        "files": [as_dict(file) for file in sorted(manifest.files, key=lambda file: file.path)],
    }
    return (json.dumps(without_credentials_in(document), indent=1, sort_keys=True) + "\n").encode()


def from_bytes(content: bytes, path: Path) -> Manifest:
    """The manifest that some bytes are; ``path`` is that of the bundle, for messages.

    Raises:
        BundleInvalidError: they are none, or of a newer format.
    """
    try:
        document = _table(json_of(content))
        version = count(document.get("format"))
        if version > FORMAT:
            newer = f"its format is {version}, and this verl-env reads up to {FORMAT}: make verl-env from the bundle"
            raise BundleInvalidError(path, newer)
        return _MANIFEST(document)
    except FieldError as error:
        raise BundleInvalidError(path, f"its manifest: {error.key or 'the file'} {error.reason}") from error
    except (ValueError, RecursionError) as error:
        raise BundleInvalidError(path, f"its manifest is no JSON ({error})") from error


def safe_path(value: object) -> str:
    """A relative path that stays inside of the bundle and is written in one way only."""
    path = text(value)
    if path.startswith("/") or "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise FieldError(f"must be a path inside of the bundle, not {path!r}")
    return path


def _or_none(decoder: Decoder[Any]) -> Decoder[Any]:
    return lambda value: None if value is None else decoder(value)


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise FieldError(f"must be a string, not {value!r}")


def _table(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise FieldError(f"must be a table, not {value!r}")


def _manifest(files: tuple[File, ...], **values: Any) -> Manifest:
    paths = [file.path for file in files]
    if len(set(paths)) != len(paths):
        raise FieldError("names a file twice", "files")
    return Manifest(files, values["plans"], values["verl_env"], values["tool_pythons"])


_FILE = shape(
    File,
    {"path": safe_path, "bytes": count, "sha256": sha256, "role": text},
    {"name": (_string, ""), "version": (_string, ""), "of": (_or_none(safe_path), None)},
)
_NATIVE = shape(NativeWay, {"name": text, "version": text, "how": text}, {"detail": (_string, "")})
_PLAN = shape(
    Planned,
    {
        "stack": text,
        "lockset": text,
        "python": text,
        "arch": text,
        "lock_sha256": sha256,
        "packages": count,
        "disk_bytes": count,
    },
    {
        "glibc": (_or_none(text), None),
        "natives": (many(_NATIVE), ()),
        "native": (_or_none(one_of("prebuilt", "build", "skip")), None),
        "wishes": (texts, ()),
        "extras": (texts, ()),
        "verl": (flag, True),
        "machine": (_table, {}),
    },
)
_MANIFEST: Decoder[Manifest] = shape(
    _manifest,
    {"format": count, "verl_env": text, "plans": many(_PLAN), "files": many(_FILE)},
    {"tool_pythons": (texts, ()), "bytes": (count, 0)},
)
