"""The Python of the environment: which release, and which interpreter makes it."""

from __future__ import annotations

from verl_env.choose.compare import minor_release
from verl_env.choose.model import Verdict
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Request
    from verl_env.locksets.model import Lockset


def pythons_in_order(lockset: Lockset, facts: MachineFacts, request: Request) -> tuple[tuple[str, str | None], ...]:
    """The releases that a lockset's environment can be made with, each with its interpreter, None where there is none.

    Only the release asked for, where one is. Else those that the machine has an interpreter for, then the others; in
    both groups those that the lockset was proven for go first, those that it was installed for, then its own order.
    """
    have = facts.interpreters or {}
    proven, installed = lockset.proven_with(request.stack), lockset.installed
    declared = sorted(
        (lock.python for lock in lockset.pythons), key=lambda python: (python not in proven, python not in installed)
    )
    if request.python is not None:
        declared = [python for python in declared if python == minor_release(request.python)]
    declared.sort(key=lambda python: python not in have)
    return tuple((python, have.get(python)) for python in declared)


def judge_python(lockset: Lockset, facts: MachineFacts, request: Request) -> Verdict:
    """Whether the lockset is locked for the Python, and a warning where nothing can make an environment of it."""
    pythons = pythons_in_order(lockset, facts, request)
    if not pythons:
        return _unlocked(lockset, request)
    return interpreter_verdict(lockset, facts, *pythons[0])


def interpreter_verdict(lockset: Lockset, facts: MachineFacts, python: str, interpreter: str | None) -> Verdict:
    """Whether something can make an environment of one of the lockset's Pythons."""
    need = _need(lockset)
    if interpreter is not None:
        return Verdict("python", "met", need, python, f"Python {python} is at {interpreter}")
    if facts.interpreters is None:
        message = f"the interpreters of the machine are not stated; the environment needs CPython {python}"
        return Verdict("python", "unknown", need, None, message)
    have = listed(facts.interpreters) or None
    message = f"there is no CPython {python} on this machine; get one with: uv python install {python}"
    return Verdict("python", "warned", need, have, message)


def _need(lockset: Lockset) -> str:
    return listed([lock.python for lock in lockset.pythons], "or") or "a locked Python"


def _unlocked(lockset: Lockset, request: Request) -> Verdict:
    need = _need(lockset)
    if not lockset.pythons:
        return Verdict("python", "failed", need, request.python, "it is locked for no Python", brief="no lock")
    message = f"it is locked for Python {need}, not {request.python}"
    return Verdict("python", "failed", need, request.python, message, brief=f"Python {request.python}")
