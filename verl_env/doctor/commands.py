"""The commands of remedies, for the installer and the interpreter of one environment."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from verl_env.doctor.model import Remedy

if TYPE_CHECKING:
    from verl_env.doctor.model import Fix


@dataclass(frozen=True, slots=True)
class Shell:
    """How packages of one environment are changed: with uv or pip, and which Python; None for the active one."""

    installer: Literal["uv", "pip"] = "pip"
    python: str | None = None

    def install(self, *requirements: str, reinstall: bool = False, deps: bool = False, build: bool = False) -> str:
        """One install command; ``deps`` lets dependencies change, ``build`` compiles against the installed torch."""
        options = [] if deps else ["--no-deps"]
        if reinstall:
            options += ["--reinstall"] if self.installer == "uv" else ["--force-reinstall"]
            options += ["--no-cache"] if self.installer == "uv" and build else []
            options += ["--no-cache-dir"] if self.installer == "pip" and build else []
        options += ["--no-build-isolation"] if build else []
        return self._join("install", [*options, *requirements])

    def uninstall(self, *names: str) -> str:
        """One uninstall command that does not ask."""
        return self._join("uninstall", [*([] if self.installer == "uv" else ["-y"]), *names])

    def python_command(self, *arguments: str) -> str:
        """A command line of the environment's interpreter."""
        return shlex.join([self.python or "python", *arguments])

    def _join(self, verb: str, arguments: list[str]) -> str:
        if self.installer == "uv":
            chosen = ["--python", self.python] if self.python else []
            return shlex.join(["uv", "pip", verb, *chosen, *arguments])
        return shlex.join([*([self.python, "-m"] if self.python else []), "pip", verb, *arguments])


def remedy(shell: Shell, text: str, fix: Fix, *, before: tuple[str, ...] = (), safe: bool = True) -> Remedy:
    """A remedy whose commands are those of a fix; ``safe=False`` keeps it from ``--fix``."""
    commands = list(before)
    if fix.uninstall:
        commands.append(shell.uninstall(*fix.uninstall))
    if fix.install:
        commands.append(shell.install(*fix.install, reinstall=fix.reinstall, deps=fix.deps, build=fix.build))
    return Remedy(text, tuple(commands), fix if safe else None)
