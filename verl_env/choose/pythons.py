"""The Python of the environment: which release, and which interpreter makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.compare import minor_release
from verl_env.choose.model import Verdict
from verl_env.choose.words import listed

if TYPE_CHECKING:
    from verl_env.choose.facts import Facts
    from verl_env.choose.model import Request
    from verl_env.locksets.model import Lockset


def choose_python(lockset: Lockset, facts: Facts, request: Request) -> tuple[str | None, str | None]:
    """The release and its interpreter, each None where there is none.

    The release asked for; else the first that the machine has an interpreter for; else the first. Those that the
    lockset was installed for go first, then the order that it declares.
    """
    declared = sorted((lock.python for lock in lockset.pythons), key=lambda python: python not in lockset.installed)
    have = facts.interpreters or {}
    if request.python is not None:
        asked = minor_release(request.python)
        return (asked, have.get(asked)) if asked in declared else (None, None)
    chosen = next((python for python in declared if python in have), declared[0] if declared else None)
    return chosen, have.get(chosen) if chosen else None


def judge_python(lockset: Lockset, facts: Facts, request: Request) -> Verdict:
    """Whether the lockset is locked for the Python, and a warning where nothing can make an environment of it."""
    locked = [lock.python for lock in lockset.pythons]
    need = listed(locked, "or") or "a locked Python"
    python, interpreter = choose_python(lockset, facts, request)
    if python is None:
        return _unlocked(need, request, locked=bool(locked))
    if interpreter is not None:
        return Verdict("python", "met", need, python, f"Python {python} is at {interpreter}")
    if facts.interpreters is None:
        message = f"the interpreters of the machine are not stated; the environment needs CPython {python}"
        return Verdict("python", "unknown", need, None, message)
    have = listed(facts.interpreters) or None
    message = f"there is no CPython {python} on this machine; get one with: uv python install {python}"
    return Verdict("python", "warned", need, have, message)


def _unlocked(need: str, request: Request, *, locked: bool) -> Verdict:
    if not locked:
        return Verdict("python", "failed", need, request.python, "it is locked for no Python", brief="no lock")
    message = f"it is locked for Python {need}, not {request.python}"
    return Verdict("python", "failed", need, request.python, message, brief=f"Python {request.python}")
