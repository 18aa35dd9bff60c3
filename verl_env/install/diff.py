"""The packages of two places, and what differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from verl_env.environment.history import Change
from verl_env.environment.installed import same_version
from verl_env.locksets.groups import ENGINES, GROUPS, group_of
from verl_env.plans.compare import same_address
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from verl_env.locksets.groups import Group


@record
class Item:
    """One package of a side.

    ``origin`` is the address or directory it comes from, None for an index; ``anywhere`` accepts every origin on the
    other side; ``local`` every local version, as native wheels carry them; ``remark`` is shown behind the version.
    """

    name: str
    version: str
    origin: str | None = None
    anywhere: bool = False
    local: bool = False
    whole: bool = True
    remark: str = ""

    @property
    def text(self) -> str:
        """The version with what is to be known of it: ``2.7.4 (from file:///wheels/...)``."""
        remarks = [f"from {self.origin}"] if self.origin else []
        remarks += [] if self.whole else ["incomplete"]
        remarks += [self.remark] if self.remark else []
        return f"{self.version} ({', '.join(remarks)})" if remarks else self.version


@record
class Side:
    """One of the two that are compared; ``name`` is a lockset's id or an environment's directory as it was given."""

    name: str
    kind: Literal["lockset", "environment"]
    python: str
    items: Mapping[str, Item]


@record
class Comparison:
    """What differs between two sides, by group, in the order of ``GROUPS``; ``same`` packages do not."""

    left: Side
    right: Side
    groups: Mapping[Group, tuple[Change, ...]]
    same: int

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that differs."""
        return tuple(change for changes in self.groups.values() for change in changes)


def compare(left: Side, right: Side) -> Comparison:
    """What must be added to, removed from or changed in the first to get the second."""
    names = sorted(left.items.keys() | right.items.keys())
    changes = [change for name in names for change in _change(left.items.get(name), right.items.get(name))]
    engines = ENGINES | {item.name for side in (left, right) for item in side.items.values() if item.local}
    groups = {group: tuple(change for change in changes if group_of(change.name, engines) == group) for group in GROUPS}
    return Comparison(
        left, right, {group: found for group, found in groups.items() if found}, len(names) - len(changes)
    )


def _change(old: Item | None, new: Item | None) -> Iterator[Change]:
    """The line of one package; nothing where both sides agree."""
    if old is None and new is not None:
        yield Change("+", new.name, None, new.text)
    elif new is None and old is not None:
        yield Change("-", old.name, old.text, None)
    elif old is not None and new is not None and not _agree(old, new):
        yield Change("~", old.name, old.text, new.text)


def _agree(old: Item, new: Item) -> bool:
    if not (old.whole and new.whole):
        return False
    if not (old.anywhere or new.anywhere or same_address(old.origin, new.origin)):
        return False
    return same_version(old.version, new.version, local=old.local or new.local)
