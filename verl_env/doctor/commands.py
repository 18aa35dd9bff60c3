"""The commands of remedies, for the installer and the interpreter of one environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from verl_env.doctor.model import Remedy
from verl_env.installers.shown import install_line, uninstall_line
from verl_env.records import NOTHING, record, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.doctor.model import Fix


@record
class Shell:
    """How packages of one environment are changed: with uv or pip, and which Python; None for the active one.

    ``pins`` are the versions of the lockset that it was made from: of what a remedy allows, those are taken.
    """

    installer: Literal["uv", "pip"] = "pip"
    python: str | None = None
    pins: Mapping[str, str] = NOTHING

    def pinned(self, requirement: str) -> str:
        """A requirement in the version of the lockset, where that meets it."""
        try:
            parsed = Requirement(requirement)
        except InvalidRequirement:
            return requirement
        version = self.pins.get(canonicalize_name(parsed.name))
        fits = version is not None and not parsed.extras and parsed.specifier.contains(version, prereleases=True)
        return f"{parsed.name}=={version}" if fits else requirement

    def install(self, *requirements: str, reinstall: bool = False, deps: bool = False, build: bool = False) -> str:
        """One install command; ``deps`` lets dependencies change, ``build`` compiles against the installed torch."""
        return install_line(self.installer, self.python, requirements, reinstall=reinstall, deps=deps, build=build)

    def uninstall(self, *names: str) -> str:
        """One uninstall command that does not ask."""
        return uninstall_line(self.installer, self.python, names)


def remedy(shell: Shell, text: str, fix: Fix, *, before: tuple[str, ...] = (), safe: bool = True) -> Remedy:
    """A remedy whose commands are those of a fix; ``safe=False`` keeps it from ``--fix``."""
    fix = replace(fix, install=tuple(map(shell.pinned, fix.install)))
    commands = list(before)
    if fix.uninstall:
        commands.append(shell.uninstall(*fix.uninstall))
    if fix.install:
        commands.append(shell.install(*fix.install, reinstall=fix.reinstall, deps=fix.deps, build=fix.build))
    return Remedy(text, tuple(commands), fix if safe else None)
