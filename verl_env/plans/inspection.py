"""What is at a target, held against a plan."""

from __future__ import annotations

from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.environment.history import Change
    from verl_env.environment.state import State
    from verl_env.plans.compare import RequiredDistribution


@record
class Inspection:
    """An environment against a plan.

    ``environment`` is the generation in force, None where there is none; ``changes`` are what turns its packages into
    those of the plan; ``reason`` says why it must be made anew though they agree, and is None where it need not be.
    """

    environment: Path | None
    state: State | None
    want: Mapping[str, RequiredDistribution]
    digest: str
    changes: tuple[Change, ...]
    reason: str | None

    @property
    def complete(self) -> bool:
        """Whether there is nothing to do."""
        return not self.changes and self.reason is None

    @property
    def in_place(self) -> frozenset[str]:
        """The names of what is there already as it should be."""
        there = frozenset() if self.environment is None else frozenset(self.want)
        return there - {change.name for change in self.changes}
