"""The state of every patch in this process, and, before vLLM is imported, what it will be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import journal
from .gates import DECLINED, FAILED, Verdict, combined
from .hook import foreign, jobs, marked, owner_and_method, replaced_by
from .registry import PATCHES
from .source import find_vllm

if TYPE_CHECKING:
    from typing import Any

    from .registry import Patch, Target


def status() -> list[dict[str, Any]]:
    """Every patch with ``id``, ``state``, ``reason`` and ``in_force``.

    ``state`` is one of applied, applied-unverified, not-needed, declined, failed, disabled. ``in_force`` is whether
    every module that the patch mends is imported and wrapped: False before the import, when ``state`` tells what the
    import will bring.
    """
    expected = {(patch.id, target.name): verdict for patch, target, verdict in jobs()}
    return [_entry(patch, expected) for patch in PATCHES]


def report() -> dict[str, Any]:
    """``status`` with the version of vLLM and the faults of the machinery itself."""
    tree = find_vllm()
    return {
        "schema": 1,
        "vllm": tree.version if tree else None,
        "patches": status(),
        "faults": list(journal.faults),
    }


def _entry(patch: Patch, expected: dict[tuple[str, str], Verdict]) -> dict[str, Any]:
    verdicts = [_verdict(patch, target, expected) for target in patch.targets]
    whole = combined(verdicts)
    acting = [target for target, verdict in zip(patch.targets, verdicts) if verdict.acts]  # noqa: B905  Python 3.9
    in_force = bool(acting) and all(_in_force(target) for target in acting)
    return {"id": patch.id, "state": whole.state, "reason": whole.reason, "in_force": in_force}


def _verdict(patch: Patch, target: Target, expected: dict[tuple[str, str], Verdict]) -> Verdict:
    key = (patch.id, target.name)
    verdict = journal.outcomes.get(key) or expected.get(key)
    if verdict is None:
        return Verdict(DECLINED, "vLLM is not installed")
    module = sys.modules.get(target.module)
    if not verdict.acts or module is None:
        return verdict
    method = owner_and_method(target, module)[1]
    if marked(method):
        return verdict
    other = foreign(method, target.module)
    if other is not None:
        return replaced_by(target, other)
    return Verdict(FAILED, f"{target.module} was loaded without the hook; call verl_env_runtime.install()")


def _in_force(target: Target) -> bool:
    module = sys.modules.get(target.module)
    return module is not None and marked(owner_and_method(target, module)[1])
