"""Single wheels of the package index, fetched by pip: it knows the index, the credentials and the proxy of the user."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.installers.base import Command, Source
from verl_env.installers.classify import tail
from verl_env.installers.failures import HashMismatchError
from verl_env.installers.isolation import installer_environment
from verl_env.installers.pip import pip_of
from verl_env.installers.process import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: pip's names for what a user may have told uv alone.
_INDEX = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
}
_GOT = re.compile(r"^[ \t]+Got[ \t]+([0-9a-f]{64})$", re.MULTILINE)
_ABSENT = re.compile(r"No matching distribution found|Could not find a version")


class IndexUnavailableError(Exception):
    """A file cannot be had from the index; the text says why."""


def pip_environment(user: Mapping[str, str]) -> dict[str, str]:
    """The variables of pip: as of any installer, and the index that the user told only uv."""
    env = installer_environment(user)
    for name, others in _INDEX.items():
        said = next((user[other] for other in others if user.get(other)), None)
        if said and not env.get(name):
            # UV_INDEX may name its entries: name=https://...
            env[name] = " ".join(re.sub(r"^[\w.-]+=(?=\w+:)", "", part) for part in said.split())
    return env


def download_wheel(file: str, sha256: str, to: Path, *, python: Path | None, links: Sequence[str] = ()) -> Path:
    """Fetches one wheel; it gets its name when it is whole.

    Args:
        file: Its name, which says distribution and version.
        sha256: Its digest: no other file is taken.
        to: The directory that it gets into.
        python: The interpreter that it is for; None for that of this process.
        links: Directories with files beside the index.

    Raises:
        IndexUnavailableError: the index does not have it, or nobody answers.
        HashMismatchError: it is another file.
        OSError: it cannot be written.
    """
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=to) as room:
        wanted = Path(room, "wanted.txt")
        wanted.write_text(f"{pinned(file)} --hash=sha256:{sha256}\n", encoding="utf-8")
        options = ("--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check")
        found = Source(tuple(links)).found
        argv = (*pip_of(python), "download", *options, *found, "--dest", f"{room}/found", "--requirement", str(wanted))
        done = run(Command(argv, pip_environment(os.environ)))
        if done.code != 0:
            raise _failure(file, sha256, done.output)
        return next(Path(room, "found").glob("*.whl")).rename(to / file)


def pinned(file: str) -> str:
    """The requirement that a wheel's name states, ``megatron-core==0.12.2``.

    Raises:
        ValueError: it is not the name of a wheel.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # noqa: PLC0415

    try:
        name, version, _, _ = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise ValueError(str(error)) from error
    return f"{name}=={version}"


def other_digest(output: str) -> str | None:
    """The SHA-256 that pip says a file has which is not the one whose hash was stated; None where it says none."""
    got = _GOT.search(output)
    return got[1] if got else None


def _failure(file: str, sha256: str, output: str) -> Exception:
    if got := other_digest(output):
        return HashMismatchError(file, f"sha256:{sha256}", f"sha256:{got}")
    if _ABSENT.search(output):
        return IndexUnavailableError(f"the index has no {pinned(file)} for this Python and machine")
    return IndexUnavailableError(f"{pinned(file)} cannot be fetched from the index: {'; '.join(tail(output)[-2:])}")
