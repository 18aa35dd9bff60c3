"""What ``verl-env diff`` compares: a lockset by its id, an environment by its directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.choose.choose import full_id
from verl_env.environment.installed import installed
from verl_env.environment.state import read_state
from verl_env.install.diff import Item, Side
from verl_env.install.errors import EnvironmentEmptyError, PythonNotLockedError
from verl_env.locksets.catalogue import packages_of
from verl_env.reading import what_is
from verl_env.records import record
from verl_env.wheels.runtime import NAME as RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from verl_env.environment.installed import Distribution
    from verl_env.environment.state import State
    from verl_env.locksets.model import Lockset, Native, Package


def read_sides(first: str, second: str, locksets: Sequence[Lockset], python: str | None = None) -> tuple[Side, Side]:
    """The packages of what two texts name: a lockset by its id or an end of it, an environment by its directory.

    A lockset is taken for ``python``; without it for the Python of the environment on the other side, else for the
    oldest that both locksets have, else for the first of its own. An environment that verl-env made says for which
    stack: native components that this stack does not need are not expected in it.

    Raises:
        LocksetUnknownError: a text names neither a lockset nor a directory.
        LocksetAmbiguousError: it may name several locksets.
        EnvironmentEmptyError: a directory holds no packages.
        PythonNotLockedError: a lockset has no lock for the Python.
        LockFileChangedError: a lock is not the one its lockset was written with.
        LockFileInvalidError: a lock cannot be read.
    """
    left, right = _named(first, locksets), _named(second, locksets)
    return _side(left, right, python), _side(right, left, python)


@record
class _Environment:
    """A directory with packages."""

    name: str
    python: str
    found: Mapping[str, Distribution]
    state: State | None


def _named(text: str, locksets: Sequence[Lockset]) -> Lockset | _Environment:
    """A directory with packages goes before the end of an id; a full id goes before everything."""
    by_id = {lockset.id: lockset for lockset in locksets}
    directory = Path(text)
    if text not in by_id and directory.is_dir():
        environment = _environment(text, directory)
        if environment is not None:
            return environment
    if not any(id_.endswith(text) for id_ in by_id) and (directory.exists() or text.startswith(("/", ".", "~"))):
        raise EnvironmentEmptyError(text, f"it is {what_is(directory)}")
    return by_id[full_id(by_id, text)]


def _environment(name: str, directory: Path) -> _Environment | None:
    """What is installed in a directory; of several Pythons the one verl-env made it for, else the newest."""
    state = read_state(directory)
    places = {site.parent.name.removeprefix("python"): site for site in directory.glob("lib/python3.*/site-packages")}
    order = sorted(places, key=lambda python: (state is not None and python == state.python, _numbers(python)))
    for python in reversed(order):
        found = installed(places[python])
        if found:
            return _Environment(name, python, found, state)
    return None


def _numbers(python: str) -> tuple[int, ...]:
    """``"3.10"`` for comparison; free-threaded builds (``"3.13t"``) before others."""
    return tuple(int(part) if part.isdigit() else -1 for part in python.split("."))


def _side(own: Lockset | _Environment, other: Lockset | _Environment, python: str | None) -> Side:
    """One side; the other one says which Python it is best compared for."""
    if isinstance(own, _Environment):
        return _environment_side(own)
    if isinstance(other, _Environment):
        return _lockset_side(own, python or other.python, other.state)
    declared = [lock.python for lock in own.pythons]
    # Both sides must take the same one of those that both have, whatever order each declares them in.
    shared = sorted((version for version in declared if other.python(version)), key=_numbers)
    return _lockset_side(own, python or next(iter(shared or declared), None), None)


def _environment_side(environment: _Environment) -> Side:
    items = {
        name: Item(
            name, found.version, found.origin, anywhere=found.origin is None, whole=found.whole, remark=_editable(found)
        )
        for name, found in environment.found.items()
        if name != RUNTIME
    }
    return Side(environment.name, "environment", environment.python, items)


def _editable(found: Distribution) -> str:
    return "editable" if found.editable else ""


def _lockset_side(lockset: Lockset, python: str | None, state: State | None) -> Side:
    if python is None or lockset.python(python) is None:
        raise PythonNotLockedError(lockset.id, python, [lock.python for lock in lockset.pythons])
    stack = state.stack.split("+") if state is not None else None
    own = state if state is not None and state.lockset == lockset.id else None
    items = {native.name: _native_item(native, own) for native in _natives(lockset, stack)}
    items |= {package.name: _package_item(package) for package in packages_of(lockset, python)}
    return Side(lockset.id, "lockset", python, items)


def _natives(lockset: Lockset, stack: Sequence[str] | None) -> Iterator[Native]:
    """The native components that a stack needs; all of them where none is stated."""
    for native in lockset.natives:
        if stack is None or not native.needed_for or not set(native.needed_for).isdisjoint(stack):
            yield native


def _native_item(native: Native, state: State | None) -> Item:
    remark = "native"
    if state is not None and native.name in state.left_out:
        remark = "native, left out when it was made"
    elif state is not None and native.name in state.deviations:
        remark = "native, a later release stands in"
    return Item(native.name, native.version, anywhere=True, local=True, remark=remark)


def _package_item(package: Package) -> Item:
    return Item(package.name, package.version, package.url)
