"""Versions that programs have said of themselves, kept on disk: a program that is the same file is not asked again.

Only what a program has compiled in is kept, so that its file decides the answer: ELF executables under their own name,
and neither scripts nor masquerades such as ccache, which look for another program each time. A kept version counts
while the file (device, inode, size, both times), a wrapper that does nothing but start it, the loader's cache and the
loader's variables are what they were.
"""

from __future__ import annotations

import os

from verl_env import __version__
from verl_env.machine.executables import real_path
from verl_env.machine.plain import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from verl_env.machine.roots import Roots

_FILE = "verl-env/programs.json"
_LOADER_CACHE = "/etc/ld.so.cache"
_ELF = "\x7fELF"
_PUNCTUATION = dict.fromkeys(map(ord, "_./+-"))
_SHELLS = ("#!/bin/sh", "#!/bin/bash", "#! /bin/sh", "#! /bin/bash")


class Remembered:
    """The kept versions of one host; a file that is missing, damaged or not writable holds none.

    Args:
        roots: The host.
        environ: Its environment; ``XDG_CACHE_HOME``, else ``HOME``, says where the file is.
    """

    __slots__ = ("_environ", "_kept", "_new", "_path", "_roots")

    def __init__(self, roots: Roots, environ: Mapping[str, str]) -> None:
        self._roots, self._environ = roots, environ
        self._path = _place(environ)
        self._kept: dict[str, Any] | None = None
        self._new: dict[str, Any] = {}

    def version(self, path: str, name: Callable[[str], bool]) -> str | None:
        """What the program at a path said when it was last asked, or None.

        Args:
            path: The program, an absolute path of the host.
            name: Whether a file of that name is the program itself; asked of the real file.
        """
        identity = self._identity(path, name)
        entry = self._entries().get(path) if identity else None
        match entry:
            case [kept, str(version)] if kept == identity:
                return version
        return None

    def keep(self, path: str, name: Callable[[str], bool], version: str) -> None:
        """Note what a program has just said; arguments as in ``version``."""
        identity = self._identity(path, name)
        if identity:
            self._new[path] = [identity, version]

    def save(self) -> None:
        """Write what is new, in one step; where that cannot be done the programs are asked again next time."""
        if not self._new or self._path is None:
            return
        import json  # noqa: PLC0415  (nothing is new on most runs)

        text = json.dumps({"verl-env": __version__, "programs": {**self._entries(), **self._new}})
        path = self._roots.path(self._path)
        beside = f"{path}.{os.getpid()}"
        if not self._roots.exists(_home(self._environ)):
            return
        try:
            os.makedirs(path.rpartition("/")[0], mode=0o700, exist_ok=True)  # noqa: PTH103
            with open(beside, "x", encoding="utf-8") as file:  # noqa: PTH123
                file.write(text)
            os.replace(beside, path)  # noqa: PTH105
        except OSError:
            return

    def _entries(self) -> dict[str, Any]:
        if self._kept is None:
            self._kept = _read(self._roots, self._path) if self._path else {}
        return self._kept

    def _identity(self, path: str, name: Callable[[str], bool]) -> str | None:
        """What the answer of a program depends on; None for one whose answer may depend on more."""
        wrapper = real_path(self._roots, path)
        if wrapper is None:
            return None
        real = _followed(self._roots, wrapper)
        if real is None or not name(real.rpartition("/")[2]):
            return None
        if self._roots.read(real, max_bytes=4) != _ELF:
            return None
        loader = sorted((key, value) for key, value in self._environ.items() if key.startswith("LD_"))
        files = [(file, _stat(self._roots, file)) for file in dict.fromkeys((wrapper, real))]
        return repr((files, _stat(self._roots, _LOADER_CACHE), loader))


def _place(environ: Mapping[str, str]) -> str | None:
    """The file, by the XDG base directory specification; None where neither variable names a place."""
    cache = environ.get("XDG_CACHE_HOME", "")
    if cache.startswith("/"):
        return f"{cache.rstrip('/')}/{_FILE}"
    home = environ.get("HOME", "").rstrip("/")
    return f"{home}/.cache/{_FILE}" if home.startswith("/") else None


def _home(environ: Mapping[str, str]) -> str:
    """What must be there before a cache is made in it: services and containers name homes that nobody has."""
    cache = environ.get("XDG_CACHE_HOME", "").rstrip("/")
    return (cache.rpartition("/")[0] or "/") if cache.startswith("/") else environ.get("HOME", "")


def _read(roots: Roots, path: str) -> dict[str, Any]:
    try:
        data = loads(roots.read(path) or "")
    except (ValueError, RecursionError):
        return {}
    ours = isinstance(data, dict) and data.get("verl-env") == __version__
    programs = data.get("programs") if ours else None
    return programs if isinstance(programs, dict) else {}


def _followed(roots: Roots, path: str) -> str | None:
    """The program that a script starts and does nothing else; any other file is itself."""
    program = _started((roots.read(path, max_bytes=512) or "").splitlines())
    return real_path(roots, program) if program else path


def _started(lines: list[str]) -> str | None:
    """The program of a script that is nothing but another name of it: ``exec "/opt/x/nvcc" "$@"``."""
    match list(filter(None, lines)):
        case [shell, command] if shell in _SHELLS and command.startswith("exec ") and command.endswith(' "$@"'):
            program = command.removeprefix("exec ").removesuffix(' "$@"').removeprefix('"').removesuffix('"')
            plain = program.translate(_PUNCTUATION).isalnum() and program.isascii()
            return program if plain and program.startswith("/") else None
    return None


def _stat(roots: Roots, path: str) -> tuple[int, ...]:
    try:
        found = os.stat(roots.path(path))  # noqa: PTH116
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
