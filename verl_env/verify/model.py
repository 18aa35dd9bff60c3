"""What a proof consists of: the parts that can be tried, and what came of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What came of a part. ``impossible``: it was not tried, and the reason says why.
Outcome: TypeAlias = Literal["passed", "failed", "impossible"]


@record
class Training:
    """A training run: verl's backend, its engine, and the number of GPUs."""

    backend: str
    engine: str
    gpus: int


@record
class Part:
    """One piece of work (``data/parts.toml``).

    ``seconds`` is an estimate for one warm H100, ``deadline`` the seconds after which it is killed; ``at_most`` and
    ``at_least`` bound its figures.
    """

    id: str
    title: str
    needs: tuple[str, ...]
    seconds: float
    deadline: float
    gpus: int = 1
    program: str | None = None
    arguments: tuple[str, ...] = ()
    train: Training | None = None
    capability: str | None = None
    at_most: Mapping[str, float] = NOTHING
    at_least: Mapping[str, float] = NOTHING


@record
class Result:
    """What came of a part; ``findings`` are the ids of what the doctor reads out of its log."""

    id: str
    state: Outcome
    reason: str = ""
    seconds: float = 0.0
    figures: Mapping[str, Any] = NOTHING
    findings: tuple[str, ...] = ()
    log: str = ""

    def to_json(self) -> dict[str, Any]:
        """The part as the document has it; its log only where it failed."""
        document = {
            "id": self.id,
            "state": self.state,
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
            "figures": dict(self.figures),
            "findings": list(self.findings),
        }
        return document | ({"log": self.log} if self.state == "failed" else {})


@record
class Subject:
    """What is proved: an environment on a machine; None for what is not known or not there."""

    lockset: str | None
    python: str
    gpu: str | None
    gpus: int
    capability: str | None
    driver: str | None
    packages: Mapping[str, str]


@record
class Verification:
    """All parts of one run; ``date`` is that of its start (UTC, ISO 8601)."""

    subject: Subject
    date: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether something was proved and nothing failed."""
        states = [result.state for result in self.results]
        return "passed" in states and "failed" not in states

    def to_json(self) -> dict[str, Any]:
        """The document of ``verl-env verify --json``; it is what a lockset keeps as its proof."""
        subject = self.subject
        return {
            "schema": 1,
            "lockset": subject.lockset,
            "python": subject.python,
            "gpu": subject.gpu,
            "gpus": subject.gpus,
            "driver": subject.driver,
            "date": self.date,
            "packages": {name: subject.packages[name] for name in SHOWN if name in subject.packages},
            "parts": [result.to_json() for result in self.results],
            "ok": self.ok,
        }


#: The packages whose versions a proof states; with these a failure can be compared.
SHOWN = (
    "torch",
    "vllm",
    "sglang",
    "verl",
    "verl-env-runtime",
    "transformers",
    "flash-attn",
    "transformer-engine",
    "megatron-core",
    "mbridge",
    "megatron-bridge",
    "apex",
    "ray",
    "flashinfer-python",
    "sgl-kernel",
    "sglang-kernel",
    "deep-ep",
)
