"""Pasted text as plain lines: no colour codes, quote marks, fences, HTML, carriage returns or logger prefixes."""

from __future__ import annotations

import html
import re

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_TAGS = re.compile(r"</?(?:details|summary|pre|code|br|p|div|span|b|i|strong|em)\b[^>]*>", re.IGNORECASE)
_QUOTE = re.compile(r"^(?:>\s?)+")
_FENCE = re.compile(r"^\s*(?:```+|~~~+)[\w+-]*\s*$")
#: What Ray and rank-aware launchers put before each line of a worker.
_WORKER = re.compile(
    r"^\s*(?:\x00)?(?:\(\S[^()\n]*?(?:pid|ip)=[^()\n]*\)|\[rank\d+\]:|\[\w*?\d+\]:|\d{4}-\d\d-\d\dT[\d:.]+Z)\s?"
)
#: Keys that newer collect_env scripts pad: ``Libc version                 : glibc-2.34``.
_PADDED = re.compile(r"^([A-Z][A-Za-z0-9 /().-]{1,40}?) +: ")
_DOWNLOADED = "\ufeff"


def clean(text: str) -> str:
    """The text of a report or an issue, line by line as the programs printed it."""
    plain = text.removeprefix(_DOWNLOADED).replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ")
    plain = _ANSI.sub("", plain)
    if "&" in plain:
        plain = html.unescape(plain)
    plain = _TAGS.sub(" ", plain)
    return "\n".join(_line(line) for line in plain.split("\n") if not _FENCE.match(line))


def _line(line: str) -> str:
    bare = _WORKER.sub("", _QUOTE.sub("", line))
    return _PADDED.sub(r"\1: ", bare).rstrip()
