"""Answers, gathered by node: the verdict is the expected nodes minus these, whatever the launcher's exit code says."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import deque
from typing import TYPE_CHECKING

from verl_env.cluster.answers import MARK, DamagedAnswerError, Pieces, unlabelled
from verl_env.cluster.model import Group, MissingNode, NodeAnswer, NodeFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

#: Seconds by which clocks may differ: the files that nodes share carry times, and so do tokens and logs.
CLOCK_TOLERANCE = 2.0

_LAST_LINES = 3
_LINE_LIMIT = 240
#: What sets colours of a terminal (ECMA-48, SGR).
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Gathering:
    """The answers of the expected nodes, as they come.

    A document is kept once for all nodes that gave the same one, so that memory grows with what differs.

    Args:
        expected: The names of the nodes; for srun in the order of its tasks.
        started: The time (``time.time()``) at which the nodes were asked.
    """

    def __init__(self, expected: Sequence[str], *, started: float | None = None) -> None:
        self.expected = tuple(dict.fromkeys(expected))
        self.answers: dict[str, NodeAnswer] = {}
        self.failed: dict[str, str] = {}
        self.strangers: set[str] = set()
        self._known = frozenset(self.expected)
        self._documents: dict[str, Mapping[str, Any]] = {}
        self._said: dict[str, deque[str]] = {}
        self._general: deque[str] = deque(maxlen=_LAST_LINES)
        self._pieces = Pieces()
        self._started = time.time() if started is None else started

    @property
    def complete(self) -> bool:
        """Whether every expected node has answered or told why it cannot."""
        return len(self.answers) + len(self.failed) >= len(self.expected)

    def take(self, line: bytes) -> None:
        """Takes one line of the launcher's output: an answer, or the last words of a node that may give none."""
        task, text = unlabelled(line)
        try:
            data = self._pieces.take(text)
        except DamagedAnswerError as error:
            self._note(task, f"its answer is {error.reason}")
            return
        if data is not None:
            self.accept(data)
        elif MARK.encode() not in text:
            self._note(task, text[:_LINE_LIMIT].decode("utf-8", "replace").strip())

    def accept(self, data: Mapping[str, Any]) -> None:
        """Takes the answer of a node: the first whole one counts, and one counts more than a failure."""
        node = data["node"]
        if node not in self._known:
            self.strangers.add(node)
        elif "failed" in data:
            if node not in self.answers:
                self.failed.setdefault(node, str(data.get("why") or data["failed"]))
        elif node not in self.answers:
            self.failed.pop(node, None)
            self.answers[node] = self._answer(node, data)

    def missing(self, reasons: Mapping[str, str], *, otherwise: str) -> tuple[MissingNode, ...]:
        """The expected nodes that gave no answer, each with what is known of it.

        Args:
            reasons: What the scheduler says of some nodes.
            otherwise: What is said of a node of which nothing is known.
        """
        return tuple(
            MissingNode(node, self._why(node, reasons, otherwise)) for node in self.expected if node not in self.answers
        )

    def groups(self) -> tuple[Group, ...]:
        """The nodes by the digest of their documents, largest group first."""
        nodes: dict[str, list[str]] = {}
        for node in self.expected:
            if node in self.answers:
                nodes.setdefault(self.answers[node].digest, []).append(node)
        made = [_group(tuple(names), digest, self._documents[digest]) for digest, names in nodes.items()]
        return tuple(sorted(made, key=lambda group: -len(group.nodes)))

    def _answer(self, node: str, data: Mapping[str, Any]) -> NodeAnswer:
        digest = digest_of(data)
        self._documents.setdefault(digest, {name: data.get(name) for name in ("aspects", "machine", "findings")})
        faults = [NodeFault(**{**fault, "evidence": tuple(fault["evidence"])}) for fault in data.get("faults", ())]
        if (skew := self._skew(data)) is not None:
            faults.append(skew)
        return NodeAnswer(node, digest, tuple(faults))

    def _skew(self, data: Mapping[str, Any]) -> NodeFault | None:
        """A clock that shows a time outside of what passed here meanwhile: no guess, however long the answer took."""
        clock = data.get("clock")
        if not isinstance(clock, (int, float)):
            return None
        behind, ahead = self._started - clock, clock - time.time()
        off = max(behind, ahead)
        if off <= CLOCK_TOLERANCE:
            return None
        way = "behind" if behind > ahead else "ahead of"
        return NodeFault("clock-off", "error", f"Its clock is {off:.0f} s {way} that of this host", ())

    def _note(self, task: int | None, text: str) -> None:
        text = _STYLE.sub("", text)[:_LINE_LIMIT]
        if not text:
            return
        if task is None or task >= len(self.expected):
            self._general.append(text)
        else:
            self._said.setdefault(self.expected[task], deque(maxlen=_LAST_LINES)).append(text)

    def _why(self, node: str, reasons: Mapping[str, str], otherwise: str) -> str:
        cut = "its answer broke off" if self._pieces.begun(node) else None
        told = reasons.get(node) or self.failed.get(node) or cut or otherwise
        named = [line for line in self._general if node in line]
        said = self._said.get(node) or named
        return f"{told}; it said: {' | '.join(said)}" if said else told


def digest_of(data: Mapping[str, Any]) -> str:
    """A digest of what matters of a node: its aspects, and which findings the doctor has, not their evidence."""
    findings = sorted((finding["severity"], finding["id"]) for finding in data.get("findings", ()))
    text = json.dumps([data.get("aspects"), findings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _group(nodes: tuple[str, ...], digest: str, document: Mapping[str, Any]) -> Group:
    return Group(nodes, digest, document["aspects"], document["machine"] or {}, tuple(document["findings"] or ()))
