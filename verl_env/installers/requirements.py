"""Requirements files: what an installer is told to install, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from verl_env.locksets.model import Package


def write_locked(path: Path, packages: Iterable[Package], *, offline: bool) -> None:
    """Writes packages of a lock with their hashes; only what the lock has as a source distribution may be built.

    Args:
        path: The file.
        packages: The packages.
        offline: Leave out addresses, so that a wheelhouse can serve what otherwise comes from one.
    """
    path.write_text("".join(_line(package, offline=offline) for package in packages), encoding="utf-8")


def write_file(path: Path, name: str, version: str, sha256: str) -> None:
    """Writes one distribution that only a certain file may give."""
    path.write_text(f"{name}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")


def write_editable(path: Path, source: Path) -> None:
    """Writes a checkout that is installed in place, as an address: a path ends at its first space."""
    path.write_text(f"--editable {source.as_uri()}\n", encoding="utf-8")


def write_constraints(path: Path, constraints: Sequence[str]) -> Path | None:
    """Writes what limits the builds of source distributions; None and no file where nothing does."""
    if not constraints:
        return None
    path.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
    return path


def _line(package: Package, *, offline: bool) -> str:
    pinned = f"{package.name}=={package.version}"
    what = pinned if package.url is None or offline else f"{package.name} @ {package.url}"
    by_index = what == pinned and package.source != "sdist"
    only = f"--only-binary {package.name}\n" if by_index else ""
    return only + " \\\n    ".join([what, *(f"--hash={digest}" for digest in package.hashes)]) + "\n"
