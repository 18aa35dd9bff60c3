"""What is impossible told apart from what no lockset covers.

A machine can rule a lockset out: its driver, its GPUs, its glibc. What it would run in another build
(``uncovered``) is a gap of the locksets, and is said to be one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from verl_env.choose.model import Evaluation, Verdict
    from verl_env.locksets.model import Lockset

    Kind = Literal["impossible", "not-covered"]

#: Requirements that the machine fails: what is locked cannot run there. Any other is a matter of what is locked.
OF_MACHINE = frozenset({"driver", "compute-capability", "gfx", "glibc", "accelerator", "arch", "platform", "rocm"})


def kind_of(verdict: Verdict) -> Kind:
    """Whether a failed requirement cannot be met on the machine, or is not covered by the lockset."""
    return "impossible" if verdict.requirement in OF_MACHINE else "not-covered"


def kind_of_refusal(nearest: Evaluation | None, uncovered: Sequence[str]) -> Kind:
    """Whether nothing can fit on the machine as it is, or only no lockset covers what was asked for."""
    failed = nearest.failed if nearest else ()
    of_machine = bool(failed) and all(kind_of(verdict) == "impossible" for verdict in failed)
    return "impossible" if of_machine and not uncovered else "not-covered"


def origin(verdict: Verdict, lockset: Lockset) -> str:
    """Where the fact behind a verdict is from, with its day: a measurement, a page, or the recipe that is mirrored."""
    needs = lockset.requires
    if verdict.requirement == "driver" and needs.driver:
        return needs.driver.source
    if verdict.requirement == "glibc" and needs.glibc and verdict.subject is None:
        return needs.glibc.source
    if verdict.requirement in {"compute-capability", "gfx"}:
        about = (verdict.subject or verdict.message).split()[0]
        own = next((gpu.source for gpu in needs.gpu if gpu.component == about), None)
        if own:
            return own
    return f"verl@{lockset.variant.commit[:12]} {lockset.variant.path}, {lockset.variant.date[:10]}"
