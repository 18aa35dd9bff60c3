"""The answer of a node: one line of JSON, carried in pieces that every launcher leaves whole.

``srun --label`` breaks lines after 1,024 bytes (22.05, seen), and without it the lines of several tasks run into each
other. So a line is compressed and cut; each piece is a line of its own behind a mark, so that it is found among
whatever else a task prints. A short line, such as sh can write, may also stand behind the mark as it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from typing import TYPE_CHECKING

from verl_env.reading import json_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: What each piece begins with; everything else on a line is noise.
MARK = "verl-env-answer "
SCHEMA = 1

#: Characters of a piece's contents; with mark, label, name and numbers it stays below 1,024.
_PIECE = 640
_MARK = MARK.encode()
_HEAD = re.compile(rb"(?P<node>\S{1,255}) (?P<number>\d+)/(?P<total>\d+) (?P<text>[\w+/=]+)\s*$")
#: What ``srun --label`` puts before each line: the number of the task.
_LABEL = re.compile(rb"^\s*(\d+): ")


class DamagedAnswerError(ValueError):
    """A line that has the mark and is no whole answer; ``reason`` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def answer_lines(data: Mapping[str, Any]) -> str:
    """The lines of an answer; a line break comes first, as what was printed before may not have ended with one."""
    text = base64.b64encode(zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 1)).decode()
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    node = data["node"]
    return "\n" + "".join(f"{MARK}{node} {n}/{len(pieces)} {piece}\n" for n, piece in enumerate(pieces, 1))


class Pieces:
    """Puts answers together from the pieces of many nodes, in whatever order they come."""

    def __init__(self) -> None:
        self._parts: dict[bytes, dict[int, bytes]] = {}

    def take(self, line: bytes) -> dict[str, Any] | None:
        """The answer that a line completes; None where it holds a piece of one, or none.

        Raises:
            DamagedAnswerError: the mark is there, and what follows it is no piece and no answer.
        """
        _, mark, rest = line.partition(_MARK)
        if not mark:
            return None
        if rest.startswith(b"{"):
            return _checked(rest)
        head = _HEAD.match(rest)
        if head is None:
            raise DamagedAnswerError("not whole (a line of it is broken)")
        parts = self._parts.setdefault(head["node"], {})
        parts[int(head["number"])] = head["text"]
        if len(parts) < int(head["total"]):
            return None
        del self._parts[head["node"]]
        return _checked(_joined(parts))

    def begun(self, node: str) -> bool:
        """Whether some pieces of a node's answer came, and not all."""
        return node.encode() in self._parts


def unlabelled(line: bytes) -> tuple[int | None, bytes]:
    """The number of the task that ``srun --label`` put before a line, and the line without it."""
    found = _LABEL.match(line)
    return (int(found[1]), line[found.end() :]) if found else (None, line)


def _joined(parts: Mapping[int, bytes]) -> bytes:
    try:
        return zlib.decompress(base64.b64decode(b"".join(parts[number] for number in sorted(parts))))
    except (binascii.Error, zlib.error) as error:
        raise DamagedAnswerError(f"not whole ({error})") from None


def _checked(text: bytes) -> dict[str, Any]:
    try:
        data = json_of(text)
    except ValueError as error:
        raise DamagedAnswerError(f"not whole ({error})") from None
    if not isinstance(data, dict) or not isinstance(data.get("node"), str):
        raise DamagedAnswerError("one that names no node")
    if data.get("schema") != SCHEMA:
        raise DamagedAnswerError(f"of schema {data.get('schema')!r}, not {SCHEMA}: another release of verl-env answers")
    return data
