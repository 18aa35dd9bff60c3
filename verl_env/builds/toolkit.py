"""CUDA's compiler from the index, unpacked into the cache of builds, for hosts that have none that fits.

    <directory of results>/cuda-toolkit/<nvcc>-<arch>-<digest>/    bin, include, lib, nvvm; whole once it is there

Never in the environment of the user: there the lock says what there is of CUDA. It is a toolkit as torch's extension
builder and CMake look for one; headers of libraries (cuBLAS, cuDNN) come from the wheels of the lock, as for any
toolkit that is there in part (``environment.lock_paths``).
"""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from verl_env.components.toolchain import needs_nvcc, nvcc_fits, toolkit_for
from verl_env.installers.failures import HashMismatchError
from verl_env.installers.index import IndexUnavailableError, download_wheel
from verl_env.records import record, replace
from verl_env.settings.owners import distrust
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from verl_env.builds.model import BuildHost, Lock
    from verl_env.choose.model import Build
    from verl_env.components.model import Catalogue, ToolkitWheels
    from verl_env.machine.model import Fact

FOLDER = "cuda-toolkit"
_DIGEST = 12


@record
class IndexToolkit:
    """The compiler of one CUDA release: what it is made of, and where it is kept.

    ``caches`` are the directories of results, the first that may be written takes it; ``wheelhouse`` may have its
    wheels.
    """

    row: ToolkitWheels
    caches: tuple[Path, ...]
    wheelhouse: Path | None = None

    @property
    def words(self) -> str:
        """What it is."""
        return f"nvcc {self.row.nvcc} of the index"

    @property
    def place(self) -> Path:
        """Its directory: where it is whole, else where it will be."""
        places = [directory / FOLDER / self._name for directory in self.caches]
        whole = next((place for place in places if place.is_dir() and _is_trusted(place)), None)
        return whole or next((place for place in places if not place.is_dir() and _may_be_made(place)), places[0])

    @property
    def at_hand(self) -> bool:
        """Whether it takes no network."""
        house = self.wheelhouse
        return self.place.is_dir() or (house is not None and all((house / file).is_file() for file in self.row.files))

    @property
    def _name(self) -> str:
        digest = sha256("".join(sorted(self.row.files.values())).encode()).hexdigest()[:_DIGEST]
        return f"{self.row.nvcc}-{self.row.arch}-{digest}"

    def make(self, note: Callable[[str], None], *, offline: bool) -> Path:
        """Its directory, with everything in it.

        Raises:
            IndexUnavailableError: a part of it cannot be had.
            HashMismatchError: a part is another file than the recorded one.
            OSError: it cannot be written.
        """
        place = self.place
        if place.is_dir() and _is_trusted(place):
            return place
        note(f"{self.words}: fetched, as no nvcc for CUDA {self.row.cuda} is here; kept in {place}")
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.{token_hex(4)}.part")
        try:
            for file, digest in self.row.files.items():
                _unpack(self._wheel(file, digest, part / "wheels", offline=offline), part / "toolkit")
            _as_toolkit(part / "toolkit")
            if not (place.is_dir() and _is_trusted(place)):
                (part / "toolkit").rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return place

    def _wheel(self, file: str, digest: str, room: Path, *, offline: bool) -> Path:
        house = None if self.wheelhouse is None else self.wheelhouse / file
        if house is not None and house.is_file():
            if (actual := file_sha256(house)) != digest:
                raise HashMismatchError(file, f"sha256:{digest}", f"sha256:{actual}", str(self.wheelhouse))
            return house
        if offline:
            raise IndexUnavailableError(f"offline, and no {file} in the wheelhouse")
        return download_wheel(file, digest, room, python=None)


def toolkit_of(
    builds: Iterable[Build],
    have: Fact[str],
    lock: Lock,
    catalogue: Catalogue,
    places: tuple[Sequence[Path], Path | None],
) -> IndexToolkit | None:
    """The compiler that builds get from the index; None where they need none, the host's fits, or there is none.

    Args:
        builds: What is to be built.
        have: The version of the host's nvcc.
        lock: What it is built for.
        catalogue: Which compilers the index has.
        places: The directories of results, and a wheelhouse.
    """
    recipes = [build.recipe for build in builds if build.recipe is not None and needs_nvcc(build.recipe)]
    if not recipes or lock.cuda is None or (isinstance(have, str) and nvcc_fits(have, lock.cuda, recipes)):
        return None
    row = toolkit_for(catalogue, lock.cuda, lock.arch)
    return IndexToolkit(row, tuple(places[0]), places[1]) if row is not None else None


def with_toolkit(host: BuildHost, toolkit: IndexToolkit | None) -> BuildHost:
    """A host as builds see it that get their compiler from the index."""
    if toolkit is None:
        return host
    tools = replace(host.toolchain, nvcc=toolkit.row.nvcc, cuda_home=str(toolkit.place))
    return replace(host, toolchain=tools, nvcc_of_index=True)


def _is_trusted(place: Path) -> bool:
    return distrust(place, place.parents[1], whole=True) is None


def _may_be_made(place: Path) -> bool:
    """Whether a directory may be made there, or above it."""
    above = next(each for each in place.parents if each.is_dir())
    return os.access(above, os.W_OK | os.X_OK)


def _unpack(wheel: Path, to: Path) -> None:
    """Unpacks what a wheel has below ``nvidia/cu13``, with the right to run what may be run."""
    try:
        with ZipFile(wheel) as archive:
            for member in archive.infolist():
                parts = Path(member.filename).parts[2:]
                if member.is_dir() or not parts or not member.filename.startswith("nvidia/") or ".." in parts:
                    continue
                path = to.joinpath(*parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
                path.chmod(0o755 if (member.external_attr >> 16) & 0o100 else 0o644)
    except BadZipFile as error:
        raise IndexUnavailableError(f"{wheel.name} is no whole wheel ({error})") from error


def _as_toolkit(directory: Path) -> None:
    """The names that builders look for: ``lib64``, and of each library the one without a version."""
    (directory / "lib64").symlink_to("lib")
    for library in sorted((directory / "lib").glob("lib*.so.*")):
        link = library.with_name(f"{library.name.partition('.so')[0]}.so")
        if not link.exists():
            link.symlink_to(library.name)
