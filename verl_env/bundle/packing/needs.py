"""What a packed prefix takes from the host: shared libraries by name, and the glibc of its symbols."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfError, read_elf
from verl_env.binaries.loader import expand, read_cache
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.binaries.elf import ElfInfo

_GLIBC = re.compile(r"GLIBC_(\d+\.\d+)")
_SHARED = re.compile(r"\.so(\.\d+)*$")
#: The libraries of glibc itself: its version says all about them. Not libcrypt, which RHEL 9 has in another version.
OF_GLIBC = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv|anl|mvec|BrokenLocale))\.so\.\d+")
#: Modules of Python that a node need not be able to import.
_SELDOM = re.compile(r"(_tkinter|nis|readline|_curses(_panel)?|_g?dbm|_crypt|spwd|ossaudiodev)\.")

#: Where the loader looks without being told.
_DEFAULT = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")


@record
class Needs:
    """Sonames that the interpreter needs of the host, those that packages and seldom used modules do, and the glibc."""

    libraries: tuple[str, ...]
    optional: tuple[str, ...]
    glibc: str | None


def needs_of(prefix: Path, python: str) -> Needs:
    """What every ELF object of a prefix needs that does not come out of it.

    What a package has under the same name is of no use to an object that has no way to it, unless the package was
    loaded before: where the host has one, the host's may be taken.
    """
    found = [info for path in _objects(prefix) if (info := _read(path)) is not None]
    inside = {name for info in found for name in (os.path.basename(info.path), info.soname)}  # noqa: PTH119
    host = read_cache()
    site = os.fspath(prefix / "lib" / f"python{python}" / "site-packages")
    own: set[str] = set()
    others: set[str] = set()
    glibc: set[str] = set()
    for info in found:
        beside = info.path.startswith(site) or _SELDOM.match(os.path.basename(info.path))  # noqa: PTH119
        wanted = {name for name in info.needed if not OF_GLIBC.fullmatch(name) and not _has_way(info, name)}
        (others if beside else own).update(name for name in wanted if name not in inside or name in host)
        glibc |= {match[1] for _, names in info.versions for name in names if (match := _GLIBC.fullmatch(name))}
    return Needs(tuple(sorted(own)), tuple(sorted(others - own)), max(glibc, key=_number, default=None))


def _has_way(info: ElfInfo, name: str) -> bool:
    """Whether an object finds a library where it looks itself."""
    ways = expand(info.runpath or info.rpath, info.path)
    return any(os.path.exists(os.path.join(way, name)) for way in ways)  # noqa: PTH110, PTH118


def _read(path: str) -> ElfInfo | None:
    try:
        return read_elf(path)
    except (ElfError, OSError):
        return None


def lacking(libraries: tuple[str, ...]) -> tuple[str, ...]:
    """Those that the loader of this host does not find by itself."""
    known = set(read_cache())
    return tuple(name for name in libraries if name not in known and not _in_default_places(name))


def _in_default_places(name: str) -> bool:
    """Whether the loader finds a library that its cache does not have."""
    return any(Path(place, name).exists() for place in _DEFAULT)


def _objects(prefix: Path) -> Iterator[str]:
    for directory, _, names in os.walk(prefix):
        for name in names:
            path = os.path.join(directory, name)  # noqa: PTH118
            if (_SHARED.search(name) or directory.endswith("/bin")) and not os.path.islink(path):  # noqa: PTH114
                yield path


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
