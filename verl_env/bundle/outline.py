"""What a bundle would hold: every file is looked up, the largest first, and can be fetched as soon as it is known."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from verl_env.bundle.contents import extras_wanted, packages_wanted, tool_targets
from verl_env.bundle.lookup import look_up
from verl_env.bundle.natives import carry_natives
from verl_env.bundle.tool import served, tool_wanted
from verl_env.installers.configured import configured_index
from verl_env.locksets.index import Index
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from verl_env.bundle.contents import Planning
    from verl_env.bundle.lookup import Fetch
    from verl_env.bundle.model import NativeWay, Role
    from verl_env.bundle.natives import Carried, Checkout


@record
class Outline:
    """What a bundle would hold, before anything is fetched.

    ``built`` are results of builds that are copied; ``natives`` the ways of native components for each plan;
    ``checkouts`` sources that are cloned.
    """

    fetches: tuple[Fetch, ...]
    built: tuple[tuple[str, Path], ...]
    natives: tuple[tuple[NativeWay, ...], ...]
    tool_pythons: tuple[str, ...]
    checkouts: tuple[Checkout, ...] = ()

    @property
    def bytes(self) -> int:
        """What is to be fetched, in bytes, as far as the index says."""
        return sum(fetch.bytes for fetch in self.fetches)

    def with_role(self, role: Role) -> tuple[Fetch, ...]:
        """The files of a role."""
        return tuple(fetch for fetch in self.fetches if fetch.role == role)


class Outlining:
    """Looks up every file of a bundle, in threads of its own from now on; nothing is fetched.

    ``fetches`` gives each file once, as soon as it is found: those that are built while others come, then the largest
    first. It raises a ``VerlEnvError`` where one cannot be had.

    Args:
        plannings: What the bundle is for.
        note: Told what is left out.
    """

    def __init__(self, plannings: Sequence[Planning], note: Callable[[str], None] = lambda _: None) -> None:
        self._plannings = plannings
        self._note = note
        self._index = Index(configured_index())
        pool = ThreadPoolExecutor(2)
        self._carried = pool.submit(_carried, plannings)
        self._tool = pool.submit(tool_wanted, tool_targets(plannings), self._index)
        pool.shutdown(wait=False)
        self._packages = look_up([wanted for each in plannings for wanted in packages_wanted(each)], self._index)
        self._found: dict[str, Fetch] = {}
        self.fetches: Iterator[Fetch] = self._find()

    def outline(self) -> Outline:
        """All that was found, and what is still to be found.

        Raises:
            VerlEnvError: a file cannot be had.
        """
        deque(self.fetches, maxlen=0)  # each is kept as it is found
        carried = self._carried.result()
        ways = [way for ways in carried for way in ways]
        return Outline(
            tuple(self._found.values()),
            tuple(dict(place for way in ways for place in way.built).items()),
            tuple(tuple(way.way for way in ways) for ways in carried),
            served(self._tool.result()),
            tuple({checkout.path: checkout for way in ways for checkout in way.checkouts}.values()),
        )

    def _find(self) -> Iterator[Fetch]:
        for fetch in self._packages:
            yield self._found.setdefault(fetch.path, fetch)
        ways = [way for ways in self._carried.result() for way in ways]
        for left in dict.fromkeys(way.way for way in ways if way.way.how == "skip"):
            self._note(f"warning: {left.name} {left.version} is not in the bundle: {left.detail}")
        more = [wanted for each in self._plannings for wanted in extras_wanted(each)]
        more += [wanted for way in ways for wanted in way.wanted]
        for fetch in look_up([*more, *self._tool.result()], self._index):
            if fetch.path not in self._found:
                yield self._found.setdefault(fetch.path, fetch)


def _carried(plannings: Sequence[Planning]) -> list[tuple[Carried, ...]]:
    return [carry_natives(each.plan, each.options, each.target) for each in plannings]
