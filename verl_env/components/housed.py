"""Wheels of native components that lie in a directory: ways like any other, and before all others.

What their names say is believed as far as it rules out (Python, platform, torch, CUDA); what they are is read before
they land. The ABI in a name is that of a flag, and says nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from verl_env.components.model import Wheel
from verl_env.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from verl_env.components.model import Catalogue, Component, Release

#: The Pythons that an abi3 wheel, or one without compiled parts, is for.
_PYTHONS = tuple(f"3.{minor}" for minor in range(9, 16))


@record
class House:
    """A directory with wheels; ``torch`` is the release that all of them are for, None where their names may say it."""

    directory: Path
    torch: str | None = None


def with_wheels(catalogue: Catalogue, *houses: House) -> Catalogue:
    """The catalogue with the wheels that lie in some directories; those of a release that it does not know stay out."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415  few plans have houses

    found: dict[str, list[tuple[Path, House]]] = {}
    for house in houses:
        for file in _wheels(house.directory):
            name = canonicalize_name(file.name.split("-")[0])
            if name in catalogue.components:
                found.setdefault(name, []).append((file, house))
    return replace(catalogue, components=_Housed(catalogue.components, found)) if found else catalogue


class _Housed(Mapping[str, "Component"]):
    """The components, some with more wheels; a file is hashed when its component is asked for."""

    def __init__(self, components: Mapping[str, Component], files: dict[str, list[tuple[Path, House]]]) -> None:
        self._components = components
        self._files = files
        self._known: dict[str, Component] = {}

    def __getitem__(self, name: str) -> Component:
        if name not in self._files:
            return self._components[name]
        if name not in self._known:
            component = self._components[name]
            releases = tuple(_with(release, self._files[name]) for release in component.releases)
            self._known[name] = replace(component, releases=releases)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._components)

    def __len__(self) -> int:
        return len(self._components)


def _wheels(directory: Path) -> list[Path]:
    try:
        return sorted(file for file in directory.iterdir() if file.suffix == ".whl" and file.is_file())
    except OSError:
        return []


def _with(release: Release, files: list[tuple[Path, House]]) -> Release:
    """The release with the files of its version; one that is known by its digest keeps its place.

    A name is no such sign: a build of one's own has the name that a published wheel has somewhere.
    """
    ours = [each for each in files if each[0].name.split("-")[1].partition("+")[0] == release.version]
    published = {wheel.sha256 for wheel in release.wheels}
    found = [wheel for file, house in ours if (wheel := _wheel(file, house))]
    housed = [wheel for wheel in found if wheel.sha256 not in published]
    return replace(release, wheels=(*housed, *release.wheels)) if housed else release


def _wheel(file: Path, house: House) -> Wheel | None:
    """A file as its name describes it; None where that is no wheel's name."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # noqa: PLC0415  few plans have a wheelhouse

    try:
        tags = parse_wheel_filename(file.name)[3]
    except InvalidWheelFilename:
        return None
    platform = max(tag.platform for tag in tags)
    torch = house.torch or _number(r"torch(\d)\.?(\d+)", file.name)
    glibc = re.match(r"manylinux_(\d+)_(\d+)_", min(tag.platform for tag in tags))
    return Wheel(
        url=f"{file.absolute().as_uri()}",
        pythons=_pythons({(tag.interpreter, tag.abi) for tag in tags}),
        arch=next((arch for arch in ("x86_64", "aarch64") if platform.endswith(arch)), None),
        torch=torch,
        cuda=_cuda(file.name),
        rocm=None,
        cxx11abi=None,
        gpus=(),
        glibc=f"{glibc[1]}.{glibc[2]}" if glibc else None,
        sha256=_sha256(file),
        source=f"it lies in {os.path.dirname(file)}",  # noqa: PTH120
    )


def _pythons(tags: set[tuple[str, str]]) -> tuple[str, ...]:
    interpreter, abi = max(tags)
    exact = re.fullmatch(r"cp3(\d+)", interpreter)
    if exact is None:
        return _PYTHONS
    return _PYTHONS[int(exact[1]) - 9 :] if abi == "abi3" else (f"3.{exact[1]}",)


def _number(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return f"{found[1]}.{found[2]}" if found else None


def _cuda(name: str) -> str | None:
    """The major release that a name has behind ``cu``: ``cu12``, ``cu128``."""
    found = re.search(r"(?<![a-z])cu(1[1-9])\d?(?!\d)", name)
    return found[1] if found else None


def _sha256(file: Path) -> str:
    from hashlib import sha256  # noqa: PLC0415

    digest = sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
