"""The choice and its plan, once it is known what can be had: before anything is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.errors import NativeUnavailableError
from verl_env.choose.model import Choice
from verl_env.install.inspect import inspect
from verl_env.install.reach.errors import PackagesUnreachableError, PackageUnknownError
from verl_env.install.reach.needed import index_needed, is_here, natives_needed, offline_reason, wishes_needed
from verl_env.install.reach.reach import Reach
from verl_env.records import record, replace
from verl_env.texts import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from verl_env.choose.model import Refusal
    from verl_env.environment.target import Target
    from verl_env.installers.options import Options
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan

    Barred: TypeAlias = Callable[[str], str | None]
    #: Chooses, with what nothing can be had from.
    Chooser: TypeAlias = Callable[[Barred], Choice | Refusal]


@record
class Decided:
    """What is chosen, its plan, and what is at the target against it."""

    choice: Choice
    plan: Plan
    seen: Inspection


class Decider:
    """Chooses, asks whether what was chosen can be had, and chooses again without what cannot.

    Args:
        chooser: Chooses; what it raises is raised.
        planner: The plan of a choice.
        target: Where.
        options: How; ``offline`` asks nobody.
        reach: What is known of addresses; None starts anew.
        tell: Told who is asked, before that takes its seconds.
    """

    def __init__(
        self,
        chooser: Chooser,
        planner: Callable[[Choice], Plan],
        target: Target,
        options: Options,
        reach: Reach | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._chooser = chooser
        self._planner = planner
        self._target = target
        self._options = options
        self._reach = reach or Reach(self._is_here)
        self._tell = tell

    def decide(self) -> Decided | Refusal:
        """The decision; nobody is asked where there is nothing to do.

        Raises:
            NativeUnavailableError: what must not be left out cannot be had.
            PackageUnknownError: what was asked for beside the stack is on no index.
            PackagesUnreachableError: the package index cannot be reached, and there is no other place for packages.
            VerlEnvError: as ``choose`` and ``open_target``.
        """
        found = self._with(Reach())
        if not isinstance(found, Decided) or found.seen.complete:
            return found
        return self._as_before(found) or self._asked(found)

    def _asked(self, found: Decided) -> Decided | Refusal:
        """The choice again, until all that it takes can be had, as far as that can be known in time."""
        index, wishes = self._index(found)
        first = True
        while True:
            needed = natives_needed(found.plan, self._options, found.seen)
            self._take_at_hand(found, frozenset(needed))
            if self._options.offline:
                for build in found.plan.natives:
                    if build.name in needed:
                        self._reach.bar(needed[build.name], offline_reason(build, self._options))
            else:
                self._ask([*needed.values(), *([index, *wishes.values()] if first and index else [])])
            if index is not None and (reason := self._reach.barred.get(index)) is not None:
                raise PackagesUnreachableError(reason)
            if lacking := {name: self._reach.lacking[at] for name, at in wishes.items() if at in self._reach.lacking}:
                raise PackageUnknownError(lacking)
            first = False
            if not any(self._reach.why_not(address) for address in needed.values()):
                return found
            again = self._with(self._reach)
            if not isinstance(again, Decided):
                return again
            found = again

    def _ask(self, addresses: Sequence[str]) -> None:
        hosts = self._reach.hosts(addresses)
        if hosts:
            self._tell(f"asking {listed(hosts)} whether what is needed can be had")
        self._reach.ask(addresses)

    def _as_before(self, found: Decided) -> Decided | None:
        """The decision of the last time, where it left the environment as it is: it is not asked for again.

        None where what is there is not what would be decided with what could not be had then.
        """
        state = found.seen.state
        if state is None or not state.barred:
            return None
        try:
            again = self._with(Reach(self._is_here, state.barred))
        except NativeUnavailableError:
            return None
        return again if isinstance(again, Decided) and again.seen.complete else None

    def _with(self, reach: Reach) -> Decided | Refusal:
        choice = self._chooser(reach.why_not)
        if not isinstance(choice, Choice):
            return choice
        plan = replace(self._planner(choice), barred=reach.barred)
        return Decided(choice, plan, inspect(plan, self._target, self._options))

    def _index(self, found: Decided) -> tuple[str | None, dict[str, str]]:
        """The address that stands for the index, and those of what is asked for beside the lock."""
        if self._options.offline:
            return None, {}
        from verl_env.installers.choice import choose_installer  # noqa: PLC0415 (what has nothing to do needs none)
        from verl_env.installers.failures import InstallerMissingError  # noqa: PLC0415

        try:
            installer = choose_installer(self._options.installer).name
        except InstallerMissingError:
            return None, {}  # the installation says so, and a dry run foresees it
        index = index_needed(found.plan, self._options, found.seen, installer)
        wishes = wishes_needed(found.plan, found.seen, installer) if self._options.wheelhouse is None else {}
        return index or next(iter(wishes.values()), None), wishes

    def _take_at_hand(self, found: Decided, needed: frozenset[str]) -> None:
        """Notes the ways whose files are here or in the environment: they do not go out of reach with their host."""
        for build in found.plan.natives:
            if build.how != "skip" and build.name not in needed:
                self._reach.at_hand.add(build.address)

    def _is_here(self, address: str) -> bool:
        return is_here(address, self._options)
