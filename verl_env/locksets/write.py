"""The texts that ``verl-env lock`` writes: constraints files, lockset.toml, catalogue.json. Same input, same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.locksets.index import takeable
from verl_env.locksets.model import Package
from verl_env.versions import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.locksets.recipe import LocksetRecipe
    from verl_env.locksets.replay import Pinned
    from verl_env.locksets.target import LockTarget

#: The oldest glibc that locks are for where their recipe states none: that of manylinux2014.
LEAST_GLIBC = "2.17"


def lock_files(recipe: LocksetRecipe, locks: Mapping[str, Sequence[Package]]) -> dict[str, str]:
    """The hashed constraints files of the locks of a lockset by Python, in the form that pip and uv read.

    Each Python has its own (``py3.12.txt``). What several take alike stands once, in a file that is named after them
    (``py3.11-3.12.txt``) and that the own files of each of them include (``-r``).
    """
    pythons = sorted(locks, key=dotted)
    takers: dict[tuple[str, str], list[str]] = {}
    for python in pythons:
        for package in locks[python]:
            takers.setdefault((package.name, entry(package)), []).append(python)
    groups: dict[tuple[str, ...], list[str]] = {(python,): [] for python in pythons}
    for (_, text), found in sorted(takers.items()):
        groups.setdefault(tuple(found), []).append(text)
    shared = sorted((group for group in groups if len(group) > 1), key=lambda group: (-len(group), group))
    files = {}
    for group, entries in groups.items():
        included = [file_name(each) for each in shared if len(group) == 1 and group[0] in each]
        files[file_name(group)] = _head(recipe, group, included) + "".join(entries)
    return files


def file_name(pythons: Sequence[str]) -> str:
    """The name of the constraints file of what some Pythons take."""
    return f"py{'-'.join(pythons)}.txt"


def _head(recipe: LocksetRecipe, pythons: Sequence[str], included: Sequence[str]) -> str:
    alike = " (what they take alike: the file of each includes it)" if len(pythons) > 1 else ""
    return (
        f"# {recipe.id}, Python {', '.join(pythons)} on Linux {recipe.arch}, as of {recipe.date}{alike}\n"
        "# Written by verl-env lock from recipe.toml. These pins are a replay of the image, not a solution:\n"
        "# uv pip sync --require-hashes FILE, or pip install --no-deps --require-hashes -r FILE.\n"
        + "".join(f"-r {name}\n" for name in included)
    )


def package_of(pin: Pinned, target: LockTarget, least_glibc: str) -> Package:
    """A release of a replay as the lock has it: the hash of every file that may be taken."""
    assert pin.file  # noqa: S101 only releases with files are written
    files = (pin.file, *takeable(pin.files, target, least_glibc))
    return Package(
        name=pin.name,
        version=pin.version,
        hashes=tuple(sorted({f"sha256:{file.sha256}" for file in files if file.sha256})),
        source="url" if pin.by_url and pin.file.is_wheel else "index" if pin.file.is_wheel else "sdist",
        url=(pin.file.url or None) if pin.by_url else None,
        uploaded=pin.file.uploaded,
        download_bytes=pin.facts.download_bytes if pin.facts else None,
        disk_bytes=(pin.facts.disk_bytes or None) if pin.facts else None,
    )


def entry(package: Package) -> str:
    """One package: pin, hashes, and what is known of the file that the target takes."""
    by_file = package.url is not None and not package.by_index
    facts = [
        "sdist" if package.source == "sdist" else "wheel",
        *([f"version {package.version}"] if by_file else []),
        *([f"index {package.url}"] if package.by_index else []),
        *([] if package.hashes else ["hash-unrecorded"]),
        *([f"{package.download_bytes} bytes"] if package.download_bytes is not None else []),
        *([f"{package.disk_bytes} unpacked"] if package.disk_bytes else []),
        *([f"uploaded {package.uploaded}"] if package.uploaded else []),
    ]
    requirement = f"{package.name} @ {package.url}" if by_file else f"{package.name}=={package.version}"
    lines = [requirement, *(f"    --hash={digest}" for digest in package.hashes)]
    return " \\\n".join(lines) + f"\n    # {'; '.join(facts)}\n"
