"""The texts that ``verl-env lock`` writes: constraints files, lockset.toml, catalogue.json. Same input, same bytes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from verl_env.locksets.index import takeable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from verl_env.locksets.index import IndexFile
    from verl_env.locksets.recipe import Recipe
    from verl_env.locksets.replay import Pinned
    from verl_env.locksets.target import Target

#: The oldest glibc that locks are for where their recipe states none: that of manylinux2014.
LEAST_GLIBC = "2.17"

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def lock_text(recipe: Recipe, target: Target, pins: Sequence[Pinned]) -> str:
    """A hashed constraints file, in the form that pip and uv read and ``load.parse_packages`` checks."""
    head = (
        f"# {recipe.id}, Python {target.python} on Linux {target.arch}, as of {recipe.date}\n"
        "# Written by verl-env lock from recipe.toml. These pins are a replay of the image, not a solution:\n"
        "# uv pip sync --require-hashes FILE, or pip install --no-deps --require-hashes -r FILE.\n"
    )
    least = recipe.glibc_minimum or LEAST_GLIBC
    ordered = sorted(pins, key=lambda pin: pin.name)
    return head + "".join(_entry(pin, takeable(pin.files, target, least)) for pin in ordered)


def _entry(pin: Pinned, files: Sequence[IndexFile]) -> str:
    """One package: pin, the hash of every file that may be taken, and what is known of the one for the target."""
    assert pin.file  # noqa: S101 only releases with files are written
    hashes = sorted({file.sha256 for file in (pin.file, *files) if file.sha256})
    by_file = pin.by_url and pin.file.url.endswith(".whl")
    facts = [
        "wheel" if pin.file.is_wheel else "sdist",
        *([f"version {pin.version}"] if by_file else []),
        *([f"index {pin.file.url}"] if pin.by_url and not by_file else []),
        *([] if hashes else ["hash-unrecorded"]),
        *([f"{pin.facts.download_bytes} bytes"] if pin.facts else []),
        *([f"{pin.facts.disk_bytes} unpacked"] if pin.facts and pin.facts.disk_bytes else []),
        *([f"uploaded {pin.file.uploaded}"] if pin.file.uploaded else []),
    ]
    requirement = f"{pin.name} @ {pin.file.url}" if by_file else f"{pin.name}=={pin.version}"
    lines = [requirement, *(f"    --hash=sha256:{digest}" for digest in hashes)]
    return " \\\n".join(lines) + f"\n    # {'; '.join(facts)}\n"


def toml_text(table: Mapping[str, Any]) -> str:
    """A table as TOML: plain values first, then its tables, in the order of the mapping."""
    return "".join(f"{line}\n" for line in _lines(table, ())).lstrip("\n")


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    nested = [key for key, value in table.items() if _is_nested(value)]
    for key, value in table.items():
        if key not in nested:
            yield f"{_key(key)} = {_value(value)}"
    for key in nested:
        inner = (*path, _key(key))
        several = isinstance(table[key], list)
        for item in table[key] if several else [table[key]]:
            yield ""
            yield f"[[{'.'.join(inner)}]]" if several else f"[{'.'.join(inner)}]"
            yield from _lines(item, inner)


def _is_nested(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    """A basic string of TOML: that of JSON, but for one control character and for pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    """A plain value; lists of strings that would make a long line take one line each."""
    if isinstance(value, list):
        items = [_value(item) for item in value]
        short = f"[{', '.join(items)}]"
        return short if len(short) <= 100 else "[\n" + "".join(f"    {item},\n" for item in items) + "]"  # noqa: PLR2004
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _string(str(value))
