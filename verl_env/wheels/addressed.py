"""Wheels of a lock that the package index does not have: each from its address, or from the index that has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.model import Build
from verl_env.components.model import Wheel
from verl_env.installers.failures import HashMismatchError, PackageUnavailableError
from verl_env.locksets.errors import IndexUnreachableError
from verl_env.locksets.index import IndexFile, best_file, read_page
from verl_env.settings.digests import first_use
from verl_env.settings.mirrors import both, mirrored
from verl_env.wheels.errors import NativeUnobtainableError
from verl_env.wheels.fetch import download, fetch_native, file_sha256, places_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from verl_env.installers.options import Options
    from verl_env.locksets.model import Package
    from verl_env.locksets.target import LockTarget


def project_page(package: Package) -> str:
    """The address of a project's page on the index that a lock names for it."""
    return f"{(package.url or '').rstrip('/')}/{package.name}/"


def fetch_addressed(
    package: Package, target: LockTarget, options: Options, progress: Callable[[int, int | None], None]
) -> tuple[Build, Path]:
    """The wheel of a package that only an address has, and what it must be.

    Of an index one page is read, that of the project, and one file of it is fetched: the one of the lock's version
    that an installer would take. Where the lock records no digest, that of the page must be the file's.

    Args:
        package: One with an address.
        target: The Python, architecture and glibc that a file must be for.
        options: Wheelhouse, cache, and whether the network may be used.
        progress: As for ``fetch_native``.

    Raises:
        PackageUnavailableError: it cannot be had.
        HashMismatchError: it is another file than the recorded one.
        NativeMismatchError: it is no wheel, or one of another distribution or version.
        DownloadInterruptedError: the download broke off, each time.
        ConfigError: the configuration cannot be used.
    """
    address = _at_index(package, target, options, progress) if package.by_index else package.url or ""
    build = _build(package, address)
    if package.source == "sdist":
        return build, _sdist(package, build, options)
    try:
        return build, fetch_native(build, options, progress)
    except NativeUnobtainableError as error:
        raise PackageUnavailableError(package, error.reason) from error


def _sdist(package: Package, build: Build, options: Options) -> Path:
    """A source distribution, which the index or the wheelhouse gave, as the lock knows it."""
    housed, cached = places_of(build.address, build.address.rpartition("/")[2], options)
    path = housed if housed is not None and housed.is_file() else cached
    digest = file_sha256(path)
    if package.hashes and f"sha256:{digest}" not in package.hashes:
        raise HashMismatchError(path.name, package.hashes[0], f"sha256:{digest}", package.url or "")
    if not package.hashes and path != housed:
        first_use(build.address, digest, str(path), options.digests)
    return path


def _build(package: Package, address: str) -> Build:
    """A package as the component that it is checked as."""
    sha256 = next((each.removeprefix("sha256:") for each in package.hashes), None)
    wheel = Wheel(address, (), None, None, None, None, None, (), None, sha256, "the lock")
    return Build(package.name, package.version, "prebuilt", "of the lock", wheel=wheel, required=True)


def _at_index(
    package: Package, target: LockTarget, options: Options, progress: Callable[[int, int | None], None]
) -> str:
    """The stated address of the file; it is in the wheelhouse or the cache then."""
    page = project_page(package)
    folder = places_of(page, "x", options)[1].parent
    at_hand = [path for place in (options.wheelhouse, folder) if place is not None for path in place.glob("*")]
    file = _file(package, target, (IndexFile(path.name, path.as_uri(), None, None) for path in at_hand))
    if file is None:
        file = _downloaded(package, target, folder, options, progress)
    stated = f"{page}{file.name}"
    cached = places_of(stated, file.name, options)[1]
    if not cached.is_file() and (folder / file.name).is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.hardlink_to(folder / file.name)
    return stated


def _downloaded(
    package: Package, target: LockTarget, folder: Path, options: Options, progress: Callable[[int, int | None], None]
) -> IndexFile:
    page = project_page(package)
    if options.offline:
        raise PackageUnavailableError(package, "offline, and it is not in the wheelhouse or the cache")
    try:
        files = read_page(mirrored(page)).files()
    except IndexUnreachableError as error:
        raise PackageUnavailableError(package, error.message) from error
    file = _file(package, target, files)
    if file is None:
        where = f"Python {target.python}, {target.arch}, glibc {target.glibc}"
        reason = f"{both(page, mirrored(page))} has no wheel of that version for {where}"
        raise PackageUnavailableError(package, reason)
    path = folder / file.name
    download(file.url, path, progress)
    if file.sha256 is not None and (actual := file_sha256(path)) != file.sha256:
        path.unlink()
        raise HashMismatchError(file.name, f"sha256:{file.sha256}", f"sha256:{actual}", file.url)
    return file


def _file(package: Package, target: LockTarget, files: Iterable[IndexFile]) -> IndexFile | None:
    """The file that an installer takes for the pin and a target; a pin without a local part takes any, as always."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 (only where a lock names an index)

    pin, wheels = SpecifierSet(f"=={package.version}", prereleases=True), package.source != "sdist"
    named = [(file, file.release) for file in files if file.is_wheel is wheels]
    return best_file([file for file, of in named if of and of[0] == package.name and of[1] in pin], target)
