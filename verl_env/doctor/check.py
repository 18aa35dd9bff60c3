"""A check: what it looks for in facts and in a log, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.records import record

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Hit, Remedy, Severity, Theme


@record
class Check:
    """One declarative unit: the failure modes it covers, how to see them in facts or in a log, and what to do.

    Attributes:
        id: Stable and kebab-case; also the id of its finding and the name of its page in the docs.
        theme: The group it is listed under.
        severity: The severity of its finding, unless the hit says otherwise.
        title: One line without a full stop, in general terms; a hit may word it for its environment.
        cause: Why it happens, in one to three sentences.
        remedy: What to do; a function where it depends on the environment.
        covers: Ids of the catalogue of failure modes (``"A1"``).
        sources: Public sources (``"flash-attention#1832"``).
        read: The day on which they were read, ``2026-11-28``; empty where what is found is seen on the spot alone.
        find: Looks at facts; None where nothing is found or not enough is known. Never reads the log.
        log: Regular expressions (multi-line, case-sensitive) of error texts that only this failure prints.
        from_log: What a match of ``log`` means; None rejects the match. Without it, the matching line is evidence.
        explains: Ids of findings that this failure causes when both are there.
        general: Whether it speaks of a whole family of failures; a check that names one of them goes before it.
    """

    id: str
    theme: Theme
    severity: Severity
    title: str
    cause: str
    remedy: Remedy | Callable[[Facts], Remedy]
    covers: tuple[str, ...]
    sources: tuple[str, ...]
    find: Callable[[Facts], Hit | None] | None = None
    log: tuple[str, ...] = ()
    from_log: Callable[[Facts, re.Match[str]], Hit | None] | None = None
    explains: tuple[str, ...] = ()
    general: bool = False
    read: str = ""
