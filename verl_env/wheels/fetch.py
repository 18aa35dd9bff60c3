"""Published wheels of native components: from the wheelhouse, the cache, a configured mirror, or their address."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.installers.failures import AddressUnavailableError, DownloadInterruptedError, HashMismatchError
from verl_env.installers.index import IndexUnavailableError, download_wheel
from verl_env.places import user_directory
from verl_env.reading import open_regular
from verl_env.settings.digests import DigestChangedError, first_use, known_digest
from verl_env.settings.mirrors import both, mirrored
from verl_env.settings.owners import distrust
from verl_env.wheels.errors import HashRequiredError, NativeMismatchError, NativeUnobtainableError
from verl_env.wheels.identity import identity_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from verl_env.choose.model import Build
    from verl_env.components.model import Wheel
    from verl_env.installers.options import Options
    from verl_env.locksets.web import WebAnswer

#: Seconds without a byte before a server counts as silent.
TIMEOUT = 20.0
#: How often a download that broke off is begun again.
ATTEMPTS = 3

_CHUNK = 1 << 20


def fetch_native(
    choice: Build, options: Options, progress: Callable[[int, int | None], None], python: Path | None = None
) -> Path:
    """The published wheel of a component, as a file whose hash is the recorded one where one is recorded.

    What is not that wheel is not kept in the cache: a server may have given a page for it, and another one later.

    Args:
        choice: A component and its wheel.
        options: Wheelhouse, cache, and whether the network may be used.
        progress: Called with the bytes so far and, where the server says it, their number.
        python: The interpreter of the environment, whose tags a wheel of the index must have; None for our own.

    Raises:
        NativeUnobtainableError: it is in neither and cannot be fetched.
        DownloadInterruptedError: the download broke off, each time.
        HashMismatchError: it is another file than the recorded one.
        NativeMismatchError: it is no wheel, or one of another distribution or version.
        ConfigError: the configuration cannot be used.
    """
    if choice.wheel is None:
        raise NativeUnobtainableError(choice, choice.reason)
    name, url = choice.wheel.file, choice.wheel.url
    housed, cached = places_of(url, name, options)
    if housed is not None and housed.is_file():
        return _checked(housed, choice, str(options.wheelhouse))
    if choice.wheel.sha256 is None and options.recorded_only:
        raise HashRequiredError((choice.name,))
    if choice.wheel.sha256 is None and url not in options.digests and known_digest(url) is None:
        # It is hashed when it is first taken: from its address, not from where others may have put it.
        cached = own_place(cached, options)
    was_there = cached.is_file()
    if not was_there:
        if options.offline:
            raise NativeUnobtainableError(choice, f"offline, and no {name} in the wheelhouse or the cache")
        try:
            _obtain(choice.wheel, cached, progress, python)
        except (AddressUnavailableError, IndexUnavailableError) as error:
            raise NativeUnobtainableError(choice, str(error)) from error
    try:
        where = "the index" if choice.wheel.on_index else both(url, mirrored(url))
        wheel = _checked(cached, choice, str(cached) if was_there else where)
        if choice.wheel.sha256 is None:
            first_use(url, file_sha256(wheel), str(cached) if was_there else where, options.digests)
    except (HashMismatchError, NativeMismatchError, DigestChangedError):
        with suppress(OSError):
            cached.unlink()
        raise
    return wheel


def own_place(cached: Path, options: Options) -> Path:
    """A file of the cache that nobody but those who are trusted may have put there; else its place in one's own.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    there = next((each for each in (cached, *cached.parents) if each.exists()), cached)
    if not there.is_relative_to(options.cache) or distrust(there, options.cache) is None:
        return cached
    return user_directory("XDG_CACHE_HOME") / "verl-env" / "own" / cached.relative_to(options.cache)


def _obtain(wheel: Wheel, to: Path, progress: Callable[[int, int | None], None], python: Path | None) -> None:
    """Gets a wheel from its address, or from the index."""
    if wheel.on_index and wheel.sha256 is not None:
        download_wheel(wheel.file, wheel.sha256, to.parent, python=python)
    else:
        download(wheel.url, to, progress)


def places_of(url: str, name: str, options: Options) -> tuple[Path | None, Path]:
    """Where a wheel is looked for before its address: itself or the wheelhouse, where there is one, and the cache."""
    if url.startswith("file:"):
        from urllib.parse import unquote, urlsplit  # noqa: PLC0415

        housed: Path | None = Path(unquote(urlsplit(url).path))
    else:
        housed = None if options.wheelhouse is None else options.wheelhouse / name
    return housed, options.cache / "wheels" / _key(url) / name


def file_sha256(path: Path) -> str:
    """The SHA-256 of a regular file, in hexadecimal."""
    from hashlib import sha256  # noqa: PLC0415

    digest = sha256()
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _key(url: str) -> str:
    """A short name for an address: two wheels of one name may differ."""
    from hashlib import sha256  # noqa: PLC0415

    return sha256(url.encode()).hexdigest()[:16]


def download(url: str, to: Path, progress: Callable[[int, int | None], None]) -> None:
    """Downloads a file from its address, or from the mirror that is configured for it.

    It gets its name when it is whole: others who share the directory see all of it or nothing.

    Args:
        url: The address that a lockset or a recipe states.
        to: The file; its directory is made.
        progress: Called with the bytes so far and, where the server says it, their number.

    Raises:
        AddressUnavailableError: the server does not answer, or has no such file.
        DownloadInterruptedError: it broke off, each time.
        ConfigError: the configuration cannot be used.
    """
    from secrets import token_hex  # noqa: PLC0415

    fetched = mirrored(url)
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f"{to.name}.{token_hex(4)}.part")
    try:
        for attempt in range(1, ATTEMPTS + 1):
            if _attempt(url, fetched, part, progress):
                part.replace(to)
                return
            time.sleep(0.2 * attempt)
        raise DownloadInterruptedError(f"{to.name} from {both(url, fetched)}")
    finally:
        with suppress(OSError):
            part.unlink()


def _checked(path: Path, choice: Build, address: str) -> Path:
    """The file, once it is the recorded one and by its metadata the component; ``address`` is where it came from."""
    expected = None if choice.wheel is None else choice.wheel.sha256
    if expected is not None and (actual := file_sha256(path)) != expected:
        raise HashMismatchError(path.name, f"sha256:{expected}", f"sha256:{actual}", address)
    if faults := identity_faults(path, choice):
        raise NativeMismatchError(choice.name, choice.version, path.name, faults, address)
    return path


def _attempt(url: str, fetched: str, part: Path, progress: Callable[[int, int | None], None]) -> bool:
    """One download; False when it broke off."""
    from verl_env.locksets.web import WebError, open_url  # noqa: PLC0415  only where something is fetched

    try:
        # An address of a lockset, a recipe, or the user's own table.
        answer = open_url(fetched, timeout=TIMEOUT)
    except WebError as error:
        raise AddressUnavailableError(url, fetched, str(error)) from error
    try:
        with answer:
            return _copy(answer, part, progress)
    except WebError:
        return False


def _copy(answer: WebAnswer, part: Path, progress: Callable[[int, int | None], None]) -> bool:
    total, done = answer.length, 0
    with part.open("wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
    return total is None or done == total
