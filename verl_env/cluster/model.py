"""What is known of the nodes of a cluster: who was expected, who answered, in which groups, and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

Severity = Literal["error", "warning"]

#: Set for the nodes of a job by our scripts, or of none yet: what a user's own job does to Ray and to the variables of
#: Slurm is not what will be.
JOB_VARIABLE = "VERL_ENV_JOB"


@record
class NodeFault:
    """What is wrong with one node by itself: others' processes on its GPUs, no space, a clock that is off."""

    id: str
    severity: Severity
    title: str
    evidence: tuple[str, ...] = ()


@record
class NodeAnswer:
    """What one node said: the digest of what matters, and its own faults."""

    node: str
    digest: str
    faults: tuple[NodeFault, ...] = ()


@record
class MissingNode:
    """A node that was expected and gave no answer; ``reason`` is a clause, such as ``drained: bad fan``."""

    node: str
    reason: str


@record
class Group:
    """Nodes that are equal in all that matters, with the document of one of them."""

    nodes: tuple[str, ...]
    digest: str
    aspects: Mapping[str, Any]
    machine: Mapping[str, Any] = NOTHING
    findings: tuple[Mapping[str, Any], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the doctor found nothing of severity error."""
        return all(finding.get("severity") != "error" for finding in self.findings)


@record
class Difference:
    """One aspect in which a group is unlike the largest one; ``have`` and ``others`` are worded."""

    nodes: tuple[str, ...]
    aspect: str
    severity: Severity
    have: str
    others: str


@record
class ClusterVerdict:
    """Whether the expected nodes would work together, and why not."""

    expected: tuple[str, ...]
    missing: tuple[MissingNode, ...]
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]
    faults: Mapping[str, tuple[NodeFault, ...]]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every expected node answered and nothing of severity error was found on or between them."""
        faults = [fault.severity for own in self.faults.values() for fault in own]
        wrong = "error" in (*faults, *(each.severity for each in self.differences))
        return bool(self.groups) and not self.missing and not wrong and all(group.ok for group in self.groups)
