"""A module in Lua (Lmod) and in Tcl (both systems), from one model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.bundle.modulefiles.model import HOME

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.bundle.modulefiles.model import Module

_ESCAPED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def lua(module: Module) -> str:
    """The module in Lua."""
    lines = [f"help({_lua(_help(module))})"]
    lines += [f"whatis({_lua(line)})" for line in module.whatis]
    lines += [f"conflict({_lua(module.name)})", f'prepend_path("PATH", {_lua(module.path)})']
    lines += [f"setenv({_lua(key)}, {_lua_value(value)})" for key, value in module.variables.items()]
    return "-- Written by verl-env module; do not edit.\n" + "".join(f"{line}\n" for line in lines)


def tcl(module: Module) -> str:
    """The module in Tcl."""
    lines = [f"proc ModulesHelp {{}} {{ puts stderr {_tcl(_help(module))} }}"]
    lines += [f"module-whatis {_tcl(line)}" for line in module.whatis]
    lines += [f"conflict {_tcl(module.name)}", f"prepend-path PATH {_tcl(module.path)}"]
    lines += [f"setenv {key} {_tcl_value(value)}" for key, value in module.variables.items()]
    return "#%Module1.0\n# Written by verl-env module; do not edit.\n" + "".join(f"{line}\n" for line in lines)


def write(module: Module, directory: Path) -> tuple[Path, Path]:
    """Writes both below a directory that MODULEPATH names; Lmod takes the one in Lua.

    Raises:
        OSError: they cannot be written.
    """
    folder = directory / module.name
    folder.mkdir(parents=True, exist_ok=True)
    written = (folder / f"{module.version}.lua", folder / module.version)
    for path, text in zip(written, (lua(module), tcl(module)), strict=True):
        part = path.with_name(f".{path.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    return written


def _help(module: Module) -> str:
    return "\n".join(module.whatis)


def _below_home(value: str) -> str | None:
    return value.removeprefix(HOME) if value.startswith(f"{HOME}/") else None


def _lua(text: str) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{_controls(escaped)}"'


def _lua_value(value: str) -> str:
    rest = _below_home(value)
    return _lua(value) if rest is None else f'(os.getenv("HOME") or "") .. {_lua(rest)}'


def _tcl(text: str) -> str:
    escaped = re.sub(r'(["\\$\[\]{}])', r"\\\1", text)
    return f'"{_controls(escaped)}"'


def _tcl_value(value: str) -> str:
    rest = _below_home(value)
    return _tcl(value) if rest is None else f'"$::env(HOME){_tcl(rest)[1:]}'


def _controls(text: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in text)
