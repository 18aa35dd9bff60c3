"""What a wheel is by its own metadata, held against the component that it should be."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from verl_env.environment.installed import normalise, same_version
from verl_env.environment.metadata import metadata_of
from verl_env.sizes import human
from verl_env.wheels.check import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.choose.model import Build

#: How files begin that servers and tools give in the place of another, and what they are.
_OTHERS = (
    (b"<!doctype html", "an HTML page, as a login or a proxy gives it"),
    (b"<html", "an HTML page, as a login or a proxy gives it"),
    (b"<?xml", "an XML document, as a storage service gives it for an error"),
    (b"{", "a JSON document, as a service gives it for an error"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file it stands for"),
)
_COMPILERS = {"nvcc", "hipcc"}


def read_identity(wheel: Path) -> tuple[str, str]:
    """The name and version that the metadata of a wheel state.

    Raises:
        ValueError: it is no wheel; the text says what it is instead.
        OSError: it cannot be read.
    """
    try:
        with ZipFile(wheel) as archive:
            metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            text = archive.read(metadata).decode("utf-8", "replace")
    except (BadZipFile, StopIteration, NotImplementedError, EOFError, zlib.error) as error:
        raise ValueError(f"{wheel.name} is no wheel: {_received(wheel)}") from error
    stated = metadata_of(text, "", "")
    if not (stated.name and stated.version):
        raise ValueError(f"{wheel.name} states no {'Version' if stated.name else 'Name'}")
    return stated.name, stated.version


def identity_faults(wheel: Path, build: Build) -> tuple[Fault, ...]:
    """What keeps a file from being the wheel of a component: another distribution, another version, or no wheel.

    Local versions are let be. What is built from a repository states a version of its own, which may be any.

    Raises:
        OSError: it cannot be read.
    """
    try:
        name, version = read_identity(wheel)
    except ValueError as error:
        return (Fault("wheel-unreadable", wheel.name, str(error), str(error)),)
    if normalise(name) != normalise(build.name):
        text = f"by its metadata the file is {name} {version}, and not {build.name}"
        return (Fault("wrong-distribution", wheel.name, f"{name} {version}", text),)
    if _states_version(build) and not same_version(version, build.version, local=True):
        text = f"by its metadata the file is version {version}, and not {build.version}"
        return (Fault("wrong-version", wheel.name, version, text),)
    return ()


def is_compiled(build: Build) -> bool:
    """Whether the wheel of a component must hold something compiled: a published one says so by its platform."""
    if build.wheel is not None:
        return not build.wheel.file.endswith("-any.whl")
    recipe = build.recipe
    return recipe is not None and recipe.compiled and any(tool.name in _COMPILERS for tool in recipe.tools)


def is_release(version: str) -> bool:
    """Whether a component's version is one that a package can have, and not a commit or a branch."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 (only where a wheel is read)

    try:
        Version(version)
    except InvalidVersion:
        return False
    return True


def _states_version(build: Build) -> bool:
    """Whether a component's version is one that its wheel must state."""
    return (build.recipe is None or build.recipe.source == "sdist") and is_release(build.version)


def _received(path: Path) -> str:
    """What a file is that should have been a wheel, as far as its beginning tells."""
    with path.open("rb") as file:
        start = file.read(200)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "it is empty"
    if start.startswith(b"PK"):
        return "it is an archive without metadata of a wheel, or a damaged one"
    what = next((words for begin, words in _OTHERS if text.startswith(begin)), None)
    return f"it is {what or 'a file of another kind'} ({human(path.stat().st_size)})"
