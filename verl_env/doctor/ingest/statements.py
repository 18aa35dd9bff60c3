"""One form for what people state in many: ``key: value``, whatever it was wrapped in.

A Markdown table, a list in bold with backticks, JSON, TOML, HTML (made rows by ``clean``) and the output of a program
state the same facts. This takes the wrapping off, line by line, so that one grammar (``packages``, ``system``,
``variables``) reads all of them. What is read stays as it is for the patterns of logs, which look at the whole text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MARKER = re.compile(r"^\s{0,40}(?:[-*+•‣·▪]|\d{1,2}[.)])\s+(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+")
_EMPHASIS = re.compile(r"\*\*|__(?=\S)|(?<=\S)__|`+|(?<![\w*])\*(?=\S)|(?<=[^\s*])\*(?![\w*])")
_QUOTED = re.compile(r"""^(["'])(?P<key>[^"'\n]{1,80})\1\s{0,4}[:=]\s{0,4}(["']?)(?P<value>[^"'\n]*?)\3\s*,?$""")
_ITEM = re.compile(r"""^\s*(["'])(?P<item>[A-Za-z][^"'\n]{1,120})\1\s*,?\s*\]?$""")
_TOML = re.compile(r"""^(?P<key>[A-Za-z][\w.-]{0,60})\s*=\s*(["'])(?P<value>[^"'\n]*)\2$""")
_RULE = re.compile(r"^[\s|:+=-]+$")
_KEY_VALUE = re.compile(r"^(?P<key>[A-Za-z][^:=|\n]{0,60}?)\s*(?:=>|->|→|:|=)\s+(?P<value>\S.*)$")
_VARIABLE = re.compile(r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")
_UNSET = re.compile(r"^(?:<?(?:unset|not set|none|empty)>?|\(unset\)|N/A|-)$", re.IGNORECASE)
_LEAST_CELLS = 2


def stated(text: str) -> str:
    """A cleaned text with every wrapped statement said again as ``key: value`` (or ``NAME=value``), at its end.

    Lines that are in that form already, and lines that state nothing, are not said again.
    """
    lines = text.split("\n")
    again = [line for line in dict.fromkeys((*_tables(lines), *_plain(lines))) if line]
    return "\n".join((text, *again)) if again else text


def _plain(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if not line or line.lstrip().startswith("|"):
            continue
        bare = unwrapped(line)
        form = _form(bare)
        if form != line.strip():
            yield form


def unwrapped(line: str) -> str:
    """A line without list marks, headings, emphasis, quotes of JSON and TOML, and the comma behind them."""
    bare = _EMPHASIS.sub("", _HEADING.sub("", _MARKER.sub("", line))).strip()
    if match := _QUOTED.match(bare):
        return f"{match['key']}: {match['value']}"
    if match := _ITEM.match(bare):
        return match["item"]
    if match := _TOML.match(bare):
        return f"{match['key']}: {match['value']}"
    return bare


def _form(bare: str) -> str:
    """A variable as ``NAME=value``, anything else as it is."""
    match = _KEY_VALUE.match(bare)
    if match and _VARIABLE.match(match["key"]):
        return f"{match['key']}={'' if _UNSET.match(match['value']) else match['value']}"
    return bare


def _tables(lines: Sequence[str]) -> Iterator[str]:
    """Rows of tables: each cell after the first under its column's head, or the second under the first."""
    heads: list[str] = []
    before: list[str] = []
    for line in lines:
        if "|" not in line or line.lstrip().startswith("+-"):
            heads, before = [], []
            continue
        if _RULE.match(line):
            heads = before
            continue
        cells = [unwrapped(cell) for cell in line.strip().strip("|").split("|")]
        cells = [cell for cell in cells if cell] if len(cells) == 1 else cells
        if len(cells) >= _LEAST_CELLS:
            yield from _row(cells, heads)
        before = cells


def _row(cells: Sequence[str], heads: Sequence[str]) -> Iterator[str]:
    key, value = cells[0], cells[1]
    if key and value and not key[0].isdigit():
        yield _form(f"{key}: {value}")
    if len(heads) == len(cells):
        yield from (_form(f"{head}: {cell}") for head, cell in zip(heads, cells, strict=True) if head and cell)
