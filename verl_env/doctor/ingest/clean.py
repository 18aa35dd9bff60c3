"""Pasted text as plain lines: no colour codes, quote marks, fences, markup, carriage returns or logger prefixes.

What people paste differs in its wrapping, not in what it says. So the wrapping goes first, line by line: after this, a
row of a Markdown table, a list item in bold, HTML and what a program printed itself are lines of one grammar
(``statements``).
"""

from __future__ import annotations

import html
import re
from urllib.parse import unquote

_ANSI = re.compile(r"\x1b\[[0-9;?]{0,40}[A-Za-z]|\x1b\][^\x07\x1b\n]{0,400}\x07|\x1b[()][A-B0-2]|\x1b")
#: Colour codes whose escape character was lost on the way: Ray's ``[36m(TaskRunner pid=12)[0m``.
_BARE_ANSI = re.compile(r"\[\d{1,2}(?:;\d{1,3}){0,4}m(?=[(\[\s]|$)|(?<=\))\[0m")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
_ROWS = re.compile(r"</(?:tr|p|div|li|h[1-6]|summary|details|pre)>|<(?:br|tr|li)\b[^<>]{0,200}>", re.IGNORECASE)
_CELLS = re.compile(r"</t[dh]>\s{0,20}<t[dh]\b[^<>]{0,200}>", re.IGNORECASE)
_TAGS = re.compile(
    r"</?(?:details|summary|pre|code|br|p|div|span|b|i|u|strong|em|kbd|samp|table|thead|tbody|tr|td|th|ul|ol|li|dl|dt|dd"
    r"|font|a|h[1-6])(?:\s[^<>\n]{0,300})?/?>",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"^(?:>\s?)+(?!>)")
_FENCE = re.compile(r"^\s{0,40}(?:```+|~~~+)[\w+-]*\s*$")
_DAY = r"(?:\d{4}[-/]\d\d[-/]\d\d|\d\d-\d\d|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}\d{1,2})"
_TIME = r"\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
#: What launchers, loggers and log collectors put before a line of a program; any number of them, in any order.
_PREFIX = re.compile(
    r"^\s*(?:"
    r"\([A-Za-z][^()\n]{0,120}?(?:pid|ip)=[^()\n]{1,80}\)"  # Ray and vLLM: (EngineCore pid=12)
    r"|\[rank\d+\]:|\[\w{0,20}?\d+\]:|\[\w[\w.-]{0,60}:\d+\](?=\s)"  # torchrun, mpirun
    rf"|\[?{_DAY}[T ]{_TIME}\]?(?=\s|$)(?:\s?-(?=\s))?"  # a date with a time
    rf"|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL|FATAL)[: ]\s{{0,3}}{_DAY} {_TIME}\s{{1,4}}\[[\w./-]{{1,60}}:\d+\]"  # vLLM
    rf"|{_DAY} {_TIME} [\w.-]{{1,60}} [\w./@-]{{1,40}}(?:\[\d+\])?:"  # syslog, journal
    r"|[EWIF]\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [\w./-]{1,200}\.py:\d+\]"  # torch's logger
    r"|\[\w[\w.-]{0,40}-\d+\]\s\|\s|[a-z][\w.-]{0,40}-\d{1,3}\s+\|(?=\s)"  # docker compose
    r"|(?:#\d{1,4} )?\d{1,5}\.\d{1,3}(?=\s{2,}\S|\s(?:\S*Error\b|ERROR|error:|hint:|Traceback|File ))"  # docker build
    r"|\d{1,4}:(?=\s+(?:\S*Error\b|File \"|Traceback|Torch|[A-Z(\[]))"  # srun --label
    r")\s?"
)
#: The prefix that a logger writes, after those of a launcher.
_LOGGER = re.compile(
    r"^(?:\([A-Za-z][^()\n]{0,120}?pid=[^()\n]{1,80}\)\s*)*"
    rf"(?:(?:DEBUG|INFO|WARNING|ERROR)[: ]\s{{0,3}}{_DAY} {_TIME}\s"
    rf"|\[?{_DAY}[T ]{_TIME}\]?[\s,]\s*(?:DEBUG|INFO|WARNING|ERROR|[A-Za-z_]+\.py:\d+))"
)
_LEAST_LOGGED = 3
#: Keys that newer collect_env scripts pad: ``Libc version                 : glibc-2.34``.
_PADDED = re.compile(r"^([A-Z][A-Za-z0-9 /().-]{1,40}?) {1,60}: ")
_DOWNLOADED = "\ufeff"
_ENCODED = re.compile(r"%(?:20|0A|0D|2B|3D|3A|22|27|2F|28|29|5B|5D|2C|23|26)", re.IGNORECASE)
_LEAST_ENCODED = 3
#: Longer lines lose their middle, and longer runs of blanks their number: no program says anything there.
LONGEST_LINE = 1600
_BLANKS = re.compile(r"[ \t]{120,}")
_HALF = LONGEST_LINE // 2


def clean(text: str) -> str:
    """The text of a report or an issue, line by line as the programs printed it."""
    plain = text.removeprefix(_DOWNLOADED).replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ")
    plain = _CONTROL.sub("", _BARE_ANSI.sub("", _ANSI.sub("", plain)) if "m" in plain else plain)
    plain = "\n".join(_short(line) for line in plain.split("\n"))
    plain = _decoded(plain)
    if "<" in plain:
        plain = _TAGS.sub(" ", _CELLS.sub(" | ", _ROWS.sub("\n", plain)))
    if "&" in plain:
        plain = html.unescape(plain)
    return "\n".join(_once(line for one in plain.split("\n") if not _FENCE.match(one) for line in (_line(one),)))


def logged(text: str) -> int:
    """How many lines of a text a program's logger wrote; fewer than three may be anything."""
    found = sum(1 for line in text.split("\n", 20_000)[:20_000] if _LOGGER.match(line))
    return found if found >= _LEAST_LOGGED else 0


def _short(line: str) -> str:
    if len(line) > LONGEST_LINE:
        line = f"{line[:_HALF]} ... {line[-_HALF:]}"
    return _BLANKS.sub("    ", line) if "    " in line else line


def _decoded(text: str) -> str:
    """The text of an address: where blanks are ``%20`` throughout, or a version holds ``%2B``."""
    if "%" not in text:
        return text
    codes = len(_ENCODED.findall(text))
    if codes >= _LEAST_ENCODED and text.count("%20") + text.count("%0A") > text.count(" "):
        return unquote(text)
    return re.sub(r"(?<=\w)%2[bB](?=\w)", "+", text)


def _line(line: str) -> str:
    bare = _QUOTE.sub("", line)
    for _ in range(6):
        shorter = _PREFIX.sub("", bare, count=1)
        if shorter == bare:
            break
        bare = shorter
    return _PADDED.sub(r"\1: ", bare).rstrip()


def _once(lines: object) -> list[str]:
    """Lines without the repetitions that follow one another, and one blank line for many."""
    kept: list[str] = []
    for line in lines:  # type: ignore[attr-defined]
        if not kept or line != kept[-1]:
            kept.append(line)
    return kept
