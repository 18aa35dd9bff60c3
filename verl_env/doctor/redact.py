"""Takes out of a report what should not be in a public issue: users, hosts, private paths, tokens, device ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_TOKENS = re.compile(
    r"(?<![\w-])(?:hf_[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|sk-[A-Za-z0-9_-]{16,}|AKIA[A-Z0-9]{16}"
    r"|xox[abp]-[\w-]{10,}|glpat-[\w-]{16,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)
_BEARER = re.compile(r"(?i)\b(bearer|token|api[_-]?key|password|secret)(\s*[:=]\s*|\s+)[^\s\"',;]{6,}")
_CREDENTIALS = re.compile(r"(?P<scheme>(?<!\w)\w+://)[^/\s:@]{1,200}:[^/\s@]{1,2000}@")
_UUID = re.compile(r"\b((?:GPU|MIG)-)?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b")
_ADDRESS = re.compile(r"\b(?!127\.0\.0\.1|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}\b(?!\.\d)")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_PATH = re.compile(r"(?<![\w$}.:/])/(?:[\w.+@~-]+/)*[\w.+@~-]+")
#: First parts of paths that every machine has; the rest of a path may name people, projects and sites.
_PUBLIC = frozenset(
    "bin boot dev etc lib lib32 lib64 opt proc run sbin snap sys tmp usr var".split()  # noqa: SIM905
)
_TAIL = re.compile(r"/(?:lib(?:64)?/python3[^/]*|site-packages|dist-packages|bin|include)(?:/|$)")


def redact(text: str, *, names: Iterable[str] = ()) -> str:
    """A text without tokens, device ids, addresses, private paths and the given names.

    Args:
        text: Any text.
        names: User and host names to take out wherever they stand as a word.
    """
    text = _TOKENS.sub("TOKEN", text)
    text = _BEARER.sub(lambda match: f"{match[1]}{match[2]}TOKEN", text)
    text = _CREDENTIALS.sub(lambda match: f"{match['scheme']}USER:PASSWORD@", text)
    text = _MAIL.sub("USER@HOST", text)
    text = _UUID.sub(lambda match: f"{match[1] or ''}UUID", text)
    text = _ADDRESS.sub("ADDRESS", text)
    text = _PATH.sub(lambda match: _public(match[0]), text)
    for name in sorted({name for name in names if len(name) > 1}, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "NAME", text)
    return text


def redact_json(data: Any, *, names: Iterable[str] = ()) -> Any:
    """Decoded JSON with every string redacted; keys stay."""
    known = tuple(names)
    if isinstance(data, str):
        return redact(data, names=known)
    if isinstance(data, dict):
        return {key: redact_json(value, names=known) for key, value in data.items()}
    return [redact_json(value, names=known) for value in data] if isinstance(data, list) else data


def _public(path: str) -> str:
    """A path of the system as it is; of another, what follows the first directory that tells nothing of its owner."""
    if path.split("/")[1] in _PUBLIC:
        return path
    tail = _TAIL.search(path)
    return f"/PATH{path[tail.start() :]}" if tail else f"/PATH/{path.rpartition('/')[2]}"
