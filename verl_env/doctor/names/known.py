"""What the table of names knows of something that a package asks for and another one does not have."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from packaging.version import Version

from verl_env.doctor.names.table import surface
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from verl_env.doctor.names.spans import Spans

_SHOWN = 2


@record
class History:
    """In which releases of a project something was.

    Attributes:
        project: The project.
        what: The thing as code has it: ``vllm.utils.get_open_port``.
        releases: The releases that were read, oldest first.
        spans: The places of those that have it.
        read: The day on which the newest were read.
    """

    project: str
    what: str
    releases: tuple[str, ...]
    spans: Spans
    read: str

    @property
    def text(self) -> str:
        """The releases in words: ``vllm has vllm.utils.x from 0.9.0 until 0.10.2 (index read 2026-11-28)``."""
        parts = " and ".join(self._words(first, last) for first, last in self.spans)
        return f"{self.project} has {self.what} {parts} (index read {self.read})"

    def _words(self, first: int, last: int) -> str:
        since = f"from {self.releases[first]}" if first else ""
        until = f"until {self.releases[last]}" if last < len(self.releases) - 1 else "on"
        return f"in {self.releases[first]} alone" if first == last else " ".join(filter(None, (since, until)))

    def nearest(self, version: Version | None) -> str | None:
        """The release nearest to a version that has it; None where that version has it, or none is known."""
        if version is None:
            return None
        there = [name for first, last in self.spans for name in self.releases[first : last + 1]]
        ahead = [name for name in there if Version(name) > version]
        behind = [name for name in there if Version(name) < Version(version.public)]
        if version.public in there:
            return None
        return behind[-1] if behind else ahead[0] if ahead else None


@functools.lru_cache(maxsize=32)
def _by_tail(project: str) -> Mapping[str, Sequence[str]]:
    """The keys of a project by what stands behind their module."""
    found: dict[str, list[str]] = {}
    table = surface(project)
    for key in table.spans if table else ():
        found.setdefault(key.partition(":")[2], []).append(key)
    return found


def history(project: str, *, module: str = "", name: str = "") -> History | None:
    """When a project had a module, a name of a module, or a member or an argument wherever it is.

    Args:
        project: The project.
        module: The module; none for ``name`` in any.
        name: ``name``, ``Class.member`` or ``function(argument``; none for the module itself.
    """
    table = surface(project)
    if table is None:
        return None
    key = next(iter(_keys(project, module, name)), None)
    if key is None:
        return None
    what = key.replace(":", ".").replace("(", "(… ") + (")" if "(" in key else "")
    return History(project, what, table.releases, table.spans[key], table.read)


def _keys(project: str, module: str, name: str) -> Iterator[str]:
    table = surface(project)
    spans = table.spans if table else {}
    if module:
        yield from (one for one in (f"{module}:{name}", f"{module}.{name}".rstrip(".")) if one in spans)
    else:
        yield from _by_tail(project).get(name, ())


def elsewhere(project: str, name: str, version: Version | None, *, beside: str = "") -> tuple[str, ...]:
    """Modules that came with a name that another module lost: ``vllm.utils.network_utils`` for ``get_open_port``."""
    table = surface(project)
    if table is None or version is None or version.public not in table.releases:
        return ()
    place = table.releases.index(version.public)
    keys = (key for key in _by_tail(project).get(name, ()) if key != f"{beside}:{name}")
    there = (key for key in keys if any(first <= place <= last for first, last in table.spans[key]))
    return tuple(key.partition(":")[0] for key in sorted(there, key=len))[:_SHOWN]


def knows(project: str, name: str) -> bool:
    """Whether a project is known to have had a member: ``MessageFactory.GetPrototype``."""
    return bool(_by_tail(project).get(name))


def moved(project: str, module: str, name: str, version: Version | None) -> tuple[str, ...]:
    """Where a name that a module of a project lost is in the release that is there, in a line; empty where nowhere."""
    there = elsewhere(project, name, version, beside=module) if module and name else ()
    return (f"in {project} {version} {name} is in {' and '.join(there)}",) if there else ()


def told(project: str, module: str, name: str, version: Version | None) -> tuple[str, ...]:
    """What is known of a name that a module of a project does not have, in lines; empty where nothing is."""
    found = history(project, module=module, name=name)
    return (*((found.text,) if found else ()), *moved(project, module, name, version))
