"""A plan: the ordered steps that make an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.locksets.model import Check, Lockset, Native, Package, Prebuilt

StepKind = Literal["environment", "packages", "native", "verl", "runtime", "check", "switch"]
NativeMode = Literal["prebuilt", "build", "skip"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step, in the order it runs; ``detail`` says what it does in words."""

    kind: StepKind
    title: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NativeChoice:
    """How one native component gets into the environment, and why that way."""

    native: Native
    how: NativeMode
    reason: str
    wheel: Prebuilt | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that ``install`` does, decided beforehand. Sizes in bytes."""

    stack: str
    lockset: Lockset
    python: str
    interpreter: str | None
    arch: str
    steps: tuple[Step, ...]
    packages: tuple[Package, ...]
    natives: tuple[NativeChoice, ...]
    checks: tuple[Check, ...]
    download_bytes: int
    disk_bytes: int
    env: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    verl_source: str | None = None
