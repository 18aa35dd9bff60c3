"""What a packed prefix takes from the host: shared libraries by name, and the glibc of its symbols."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfError, read_elf
from verl_env.binaries.loader import read_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

_GLIBC = re.compile(r"GLIBC_(\d+\.\d+)")
_SHARED = re.compile(r"\.so(\.\d+)*$")
#: The libraries of glibc itself: its version says all about them.
_OF_GLIBC = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv|nsl|crypt|anl|mvec|BrokenLocale))\.so\.\d+")

#: Where the loader looks without being told.
_DEFAULT = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")


@dataclass(frozen=True, slots=True)
class Needs:
    """Sonames that the interpreter and its modules need of the host, those that packages do, and the least glibc."""

    libraries: tuple[str, ...]
    optional: tuple[str, ...]
    glibc: str | None


def needs_of(prefix: Path, python: str) -> Needs:
    """What every ELF object of a prefix needs that is not in it."""
    inside: set[str] = set()
    own: set[str] = set()
    packages: set[str] = set()
    glibc: set[str] = set()
    site = os.fspath(prefix / "lib" / f"python{python}" / "site-packages")
    for path in _objects(prefix):
        try:
            info = read_elf(path)
        except (ElfError, OSError):
            continue
        inside |= {Path(path).name, *filter(None, [info.soname])}
        (packages if path.startswith(site) else own).update(info.needed)
        glibc |= {match[1] for _, names in info.versions for name in names if (match := _GLIBC.fullmatch(name))}
    return Needs(
        tuple(sorted(name for name in own - inside if not _OF_GLIBC.fullmatch(name))),
        tuple(sorted(name for name in packages - inside - own if not _OF_GLIBC.fullmatch(name))),
        max(glibc, key=_number, default=None),
    )


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
