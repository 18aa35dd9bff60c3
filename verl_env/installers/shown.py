"""Commands of uv and pip as users copy them: for the environment that is active, or for an interpreter."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    Name = Literal["uv", "pip"]


def install_line(
    installer: Name,
    python: str | None,
    requirements: Sequence[str],
    *,
    reinstall: bool = False,
    deps: bool = False,
    build: bool = False,
) -> str:
    """One install command; ``deps`` lets dependencies change, ``build`` compiles against the installed torch."""
    is_uv = installer == "uv"
    options = [] if deps else ["--no-deps"]
    if reinstall:
        options += ["--reinstall" if is_uv else "--force-reinstall"]
        options += ["--no-cache" if is_uv else "--no-cache-dir"] if build else []
    options += ["--no-build-isolation"] if build else []
    return _line(installer, python, "install", [*options, *requirements])


def uninstall_line(installer: Name, python: str | None, names: Sequence[str]) -> str:
    """One uninstall command that does not ask."""
    return _line(installer, python, "uninstall", [*([] if installer == "uv" else ["-y"]), *names])


def _line(installer: Name, python: str | None, verb: str, arguments: Sequence[str]) -> str:
    if installer == "uv":
        return shlex.join(["uv", "pip", verb, *(["--python", python] if python else []), *arguments])
    return shlex.join([*([python, "-m"] if python else []), "pip", verb, *arguments])
