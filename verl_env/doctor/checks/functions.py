"""What a check cannot say as data: a function that looks at facts, one that reads a match, one that words a remedy.

Each is joined by the id of its check with the table of that id in ``<theme>.toml``::

    @finds("cuda-home")
    def _cuda_home(facts: Facts) -> Hit | None: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Hit, Remedy

    Find = Callable[[Facts], Hit | None]
    Read = Callable[[Facts, re.Match[str]], Hit | None]
    Mend = Callable[[Facts], Remedy]

Function = TypeVar("Function")

FINDS: dict[str, Find] = {}
READS: dict[str, Read] = {}
MENDS: dict[str, Mend] = {}


def finds(*ids: str) -> Callable[[Find], Find]:
    """What these checks find in facts; None where nothing is there, or not enough is known. Never reads the log."""
    return _joined(FINDS, ids)


def reads(*ids: str) -> Callable[[Read], Read]:
    """What a match of the patterns of these checks means; None rejects the match."""
    return _joined(READS, ids)


def mends(*ids: str) -> Callable[[Mend], Mend]:
    """The remedy of these checks, where it depends on the environment."""
    return _joined(MENDS, ids)


def _joined(functions: dict[str, Function], ids: tuple[str, ...]) -> Callable[[Function], Function]:
    def join(function: Function) -> Function:
        functions.update(dict.fromkeys(ids, function))
        return function

    return join
