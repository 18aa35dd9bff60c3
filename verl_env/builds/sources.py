"""Where the source of a component comes from: the index, a git repository, an archive at an address."""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from verl_env.builds.cache import keep_source
from verl_env.builds.checkouts import ENDING, FOLDER
from verl_env.builds.errors import NativeBuildFailedError, SourceUnavailableError
from verl_env.builds.unpack import unpack
from verl_env.environment.installed import normalise
from verl_env.installers.failures import AddressUnavailableError, HashMismatchError
from verl_env.installers.index import other_digest
from verl_env.records import record
from verl_env.settings.config import load_config
from verl_env.settings.digests import DigestChangedError, first_use
from verl_env.wheels.fetch import download, file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.builds.model import Job, Places
    from verl_env.builds.workshop import Workshop

_GIT = "git+"
_SDIST = (".tar.gz", ".zip", ".tar.bz2")
#: A commit, whole or shortened: the same source at all times.
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@record
class Origin:
    """A source by its kind: the address of a repository or an archive, and what of a repository."""

    kind: Literal["sdist", "git", "archive"]
    url: str = ""
    ref: str = ""

    @property
    def fixed(self) -> bool:
        """Whether it is the same source at all times; a branch or a tag may move."""
        return self.kind != "git" or _COMMIT.fullmatch(self.ref) is not None


def origin_of(source: str) -> Origin:
    """What the text of a recipe names: ``sdist``, ``git+URL@REF`` (no REF: the default branch), or an address."""
    if source == "sdist":
        return Origin("sdist")
    if source.startswith(_GIT):
        url, at, ref = source.removeprefix(_GIT).rpartition("@")
        # An @ before the path is that of a user: ssh://git@host/...
        return Origin("git", url, ref) if at and "/" not in ref else Origin("git", source.removeprefix(_GIT))
    return Origin("archive", source)


def is_cached(job: Job, places: Places) -> bool:
    """Whether the source is here already."""
    return _cached(job, places) is not None


def fetch(job: Job, shop: Workshop) -> Path:
    """The source tree of a job, unpacked below the workshop; no build has touched it yet.

    Raises:
        SourceUnavailableError: it cannot be had.
        HashMismatchError: it is another file than the recorded one.
    """
    origin, tree = origin_of(job.recipe.source), shop.room(f"{job.build.name}-source")
    cached = _cached(job, shop.places)
    if origin.kind == "git":
        if cached is None:
            return _clone(job, origin, shop, tree)
        if cached.is_file():
            return unpack(cached, tree)
        shutil.copytree(cached, tree / "tree", symlinks=True)
        return tree / "tree"
    if cached is None:
        cached = _download_sdist(job, shop) if origin.kind == "sdist" else _download_archive(job, origin, shop)
    try:
        _check(job, cached)
        if job.recipe.sha256 is None and cached.is_relative_to(shop.places.sources):
            address = origin.url or f"sdist:{_pinned(job)}"
            first_use(address, file_sha256(cached), str(cached), {})
    except (HashMismatchError, DigestChangedError):
        if cached.is_relative_to(shop.places.sources):
            cached.unlink()
        raise
    shop.hashes[job.build.name] = file_sha256(cached)
    return unpack(cached, tree)


def commit_of(tree: Path) -> str | None:
    """The commit that a checkout is of; None for other sources."""
    try:
        return (tree / ".git" / "HEAD").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _cached(job: Job, places: Places) -> Path | None:
    origin = origin_of(job.recipe.source)
    place = _place(job, origin, places)
    if (housed := _housed(job, origin, places)) is not None:
        return housed
    if origin.kind == "git":
        return place if origin.fixed and (place / ".git").is_dir() else None
    if not place.is_dir():
        return None
    return next((path for path in sorted(place.iterdir()) if not path.name.startswith(".")), None)


def _housed(job: Job, origin: Origin, places: Places) -> Path | None:
    """The file in the wheelhouse, by the name that an index or its address gives it."""
    if places.wheelhouse is None:
        return None
    if origin.kind != "sdist":
        path = places.wheelhouse / (carried_name(job, places) if origin.kind == "git" else _file_name(origin.url))
        return path if path.is_file() else None
    wanted = f"{normalise(job.build.name)}-{job.build.version}"
    for path in sorted(places.wheelhouse.glob(f"*-{job.build.version}.*")):
        stem = next((path.name.removesuffix(end) for end in _SDIST if path.name.endswith(end)), "")
        if stem and f"{normalise(stem.rpartition('-')[0])}-{stem.rpartition('-')[2]}" == wanted:
            return path
    return None


def carried_name(job: Job, places: Places) -> str:
    """Where a wheelhouse has the checkout of a job."""
    return f"{FOLDER}/{_place(job, origin_of(job.recipe.source), places).name}{ENDING}"


def _file_name(url: str) -> str:
    return url.partition("#")[0].partition("?")[0].rsplit("/", 1)[-1]


def _place(job: Job, origin: Origin, places: Places) -> Path:
    key = sha256(f"{origin.kind} {origin.url} {origin.ref} {job.recipe.sha256 or ''}".encode()).hexdigest()[:12]
    return places.sources / f"{job.build.name}-{job.build.version}-{key}"


def _check(job: Job, path: Path) -> None:
    expected = job.recipe.sha256
    if expected is not None and (actual := file_sha256(path)) != expected:
        raise HashMismatchError(path.name, f"sha256:{expected}", f"sha256:{actual}")


def _download_archive(job: Job, origin: Origin, shop: Workshop) -> Path:
    name = _file_name(origin.url)
    to = _place(job, origin, shop.places) / name
    _need_network(job, shop)
    try:
        download(origin.url, to, lambda done, total: shop.reporter.progress(name, done, total))
    except AddressUnavailableError as error:
        raise SourceUnavailableError(job.name, job.recipe.source, error.message) from error
    return to


def _download_sdist(job: Job, shop: Workshop) -> Path:
    """The source distribution, as the index that pip is configured for serves it.

    pip asks a source for its metadata even to download it, and that runs its code: the file's hash goes with the
    request, so that no other file's code runs, and the build environment is there by now (``Builder``).
    """
    found = shop.room(f"{job.build.name}-sdist")
    wanted = found.with_suffix(".txt")
    hashed = f" --hash=sha256:{job.recipe.sha256}" if job.recipe.sha256 else ""
    wanted.write_text(f"{_pinned(job)}{hashed}\n", encoding="utf-8")
    try:
        shop.pip(job, "download", "--no-binary", ":all:", "--dest", str(found), "--requirement", str(wanted))
        file = next(path for path in found.iterdir() if path.name.endswith(_SDIST))
    except StopIteration:
        raise SourceUnavailableError(job.name, job.recipe.source, "the index has no source distribution") from None
    except NativeBuildFailedError as error:
        if job.recipe.sha256 and (got := other_digest(error.log.read_text(encoding="utf-8", errors="replace"))):
            raise HashMismatchError(_pinned(job), f"sha256:{job.recipe.sha256}", f"sha256:{got}") from error
        if any("No matching distribution" in line for line in error.tail):
            reason = f"the index has no source distribution of {_pinned(job)}"
            raise SourceUnavailableError(job.name, job.recipe.source, reason) from error
        raise
    return keep_source(file, _place(job, Origin("sdist"), shop.places) / file.name)


def _pinned(job: Job) -> str:
    return f"{job.build.name}=={job.build.version}"


def _clone(job: Job, origin: Origin, shop: Workshop, room: Path) -> Path:
    """A checkout with its submodules; one that cannot change is kept."""
    _need_network(job, shop)
    tree = room / "tree"
    env = {**shop.variables(job), **git_variables(load_config().mirrors)}
    git = ("git", "-C", str(tree))
    try:
        shop.run(job, ("git", "init", "--quiet", str(tree)), env=env)
        shop.run(job, (*git, "remote", "add", "origin", origin.url), env=env)
        if not _fetch_one(job, origin, shop, tree, env):
            # A server need not give a single commit, and no server gives one by a shortened name.
            shop.run(job, (*git, "fetch", "--quiet", "--tags", "origin"), env=env)
            shop.run(job, (*git, "checkout", "--quiet", "--detach", origin.ref or "FETCH_HEAD"), env=env)
        shop.run(job, (*git, "submodule", "update", "--init", "--recursive", "--quiet"), env=env)
    except NativeBuildFailedError as error:
        reason = next(iter(error.tail[-1:]), "git failed")
        raise SourceUnavailableError(job.name, job.recipe.source, reason) from error
    if origin.fixed:
        kept = _place(job, origin, shop.places)
        part = kept.with_name(f".{kept.name}")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(tree, part, symlinks=True)
        if not kept.exists():
            part.rename(kept)
    return tree


def _fetch_one(job: Job, origin: Origin, shop: Workshop, tree: Path, env: Mapping[str, str]) -> bool:
    """Fetches only the commit that is wanted; False where the server does not give it so."""
    git = ("git", "-C", str(tree))
    try:
        shop.run(job, (*git, "fetch", "--quiet", "--depth", "1", "origin", origin.ref or "HEAD"), env=env)
        shop.run(job, (*git, "checkout", "--quiet", "--detach", "FETCH_HEAD"), env=env)
    except NativeBuildFailedError:
        return False
    return True


def git_variables(mirrors: Mapping[str, str]) -> dict[str, str]:
    """Mirrors as git knows them, for submodules too; and no question at a terminal that nobody sees."""
    rules = [(f"url.{place}/.insteadOf", f"{prefix}/") for prefix, place in mirrors.items()]
    if any(place.startswith("file:") for place in mirrors.values()):
        rules.append(("protocol.file.allow", "always"))
    variables = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": str(len(rules))}
    for number, (key, value) in enumerate(rules):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _need_network(job: Job, shop: Workshop) -> None:
    if shop.offline:
        raise SourceUnavailableError(job.name, job.recipe.source, f"offline, and it is not in {shop.places.sources}")
