"""Makes a bundle: fetches every file once it is looked up, makes what is made here, and writes the manifest last."""

from __future__ import annotations

import os
import shutil
from functools import partial
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

import verl_env
from verl_env.builds.build_plan import BUNDLED
from verl_env.bundle import own_wheel
from verl_env.bundle.bom import bill_of_materials
from verl_env.bundle.clones import clone
from verl_env.bundle.gather import gather
from verl_env.bundle.lookup import look_up
from verl_env.bundle.manifest import to_bytes
from verl_env.bundle.model import BOM, BOOTSTRAP, LOCKSETS, MANIFEST, RUNTIME, TOOL, WHEELS, File, Manifest, Planned
from verl_env.bundle.outline import Outlining
from verl_env.bundle.place import clear, held
from verl_env.bundle.sdist_needs import sdist_requirements
from verl_env.bundle.sdists import SdistBuilder
from verl_env.constraints import constraints_directory
from verl_env.environment.files import sync_file_system
from verl_env.installers.configured import configured_index
from verl_env.locksets.index import Index
from verl_env.locksets.load import LOCKSET_FILE, lock_parts
from verl_env.locksets.target import glibc_of
from verl_env.machine.record import deciding_facts
from verl_env.wheels.runtime import build as build_runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verl_env.bundle.contents import Planning
    from verl_env.bundle.gather import Progress
    from verl_env.bundle.lookup import Fetch
    from verl_env.bundle.model import NativeWay, Role
    from verl_env.bundle.outline import Outline

_BOOTSTRAP_SOURCE = Path(__file__).parents[1] / "installers" / "programs" / "make_verl_env.py"


def make(plannings: Sequence[Planning], root: Path, progress: Progress) -> Manifest:
    """Makes a bundle in a directory, or finishes one that a run left there.

    Args:
        plannings: What it is for.
        root: The directory; what is in it and not of this bundle is removed at the end.
        progress: Told of what comes.

    Raises:
        VerlEnvError: a file cannot be had, or the directory cannot be used. What was fetched stays.
        KeyboardInterrupt: likewise.
    """
    with held(root):
        outlining = Outlining(plannings, progress.note)
        # Where the index does not answer, a bundle that is whole stays so.
        fetches = chain(tuple(islice(outlining.fetches, 1)), outlining.fetches)
        (root / MANIFEST).unlink(missing_ok=True)
        builder = SdistBuilder(root, lambda fetch: _limits(plannings, fetch)[0], progress)
        files = {file.path: file for file in gather(fetches, root, progress, partial(_build_packages, builder))}
        outlined = outlining.outline()
        files |= _left_sources(builder, plannings, outlined, root, progress)
        files |= {file.path: file for file in (*builder.built, *_made_here(plannings, outlined, root))}
        files |= {checkout.path: clone(checkout, root, progress) for checkout in outlined.checkouts}
        plans = tuple(
            _planned(planning, ways, _of(planning, outlined.fetches))
            for planning, ways in zip(plannings, outlined.natives, strict=True)
        )
        manifest = Manifest(tuple(files.values()), plans, verl_env.__version__, outlined.tool_pythons)
        content = bill_of_materials(manifest)
        if content is not None:
            bom = _write(root, BOM, content, "bom")
            manifest = Manifest((*manifest.files, bom), plans, manifest.tool, manifest.tool_pythons)
        clear(root, [file.path for file in manifest.files])
        # One call for all files: what a crash leaves half before is found by its hash in the next run.
        sync_file_system(root)
        _write(root, MANIFEST, to_bytes(manifest), "bom")
        sync_file_system(root)
    return manifest


def _build_packages(builder: SdistBuilder, fetch: Fetch, path: Path) -> None:
    """Builds the source distributions of locks; those of native components are built where they run."""
    if fetch.role == "package":
        builder.build(fetch, path)


def _limits(plannings: Sequence[Planning], fetch: Fetch) -> list[tuple[str, ...]]:
    """The constraints for builds of each lockset that holds a package: those of two locksets may exclude each other."""
    found = [each.plan.lockset for each in plannings if fetch.name in {package.name for package in each.plan.packages}]
    return list(dict.fromkeys(lockset.build_constraints for lockset in found)) or [()]


def _left_sources(
    builder: SdistBuilder, plannings: Sequence[Planning], outlined: Outline, root: Path, progress: Progress
) -> dict[str, File]:
    """What each plan needs to build the source distributions that could not be built here."""
    left = [fetch for fetch in outlined.fetches if fetch.path in builder.kept]
    if not left:
        return {}
    needs = [
        sdist_requirements(fetch, root / fetch.path, limits) for fetch in left for limits in _limits(plannings, fetch)
    ]
    wanted = [each for found in needs for each in found]
    fetches = look_up(wanted, Index(configured_index()))
    return {file.path: file for file in gather(fetches, root, progress)}


def _of(planning: Planning, fetches: Iterable[Fetch]) -> list[Fetch]:
    """The wheels of the lock that were taken for a plan."""
    names = {(package.name, package.version) for package in planning.plan.packages}
    return [each for each in fetches if (each.name, each.version) in names and each.target == planning.target]


def _planned(planning: Planning, natives: tuple[NativeWay, ...], fetches: Sequence[Fetch]) -> Planned:
    plan = planning.plan
    lock = planning.lock
    return Planned(
        stack=plan.stack,
        lockset=plan.lockset.id,
        python=plan.python,
        arch=plan.arch,
        lock_sha256="" if lock is None else lock.sha256,
        packages=len(plan.packages),
        disk_bytes=plan.disk_bytes,
        glibc=_glibc(fetches),
        natives=natives,
        native=planning.request.native,
        wishes=planning.request.wishes,
        extras=plan.extras,
        verl=planning.verl,
        machine=deciding_facts(planning.machine),
    )


def _glibc(fetches: Iterable[Fetch]) -> str | None:
    """The least glibc that all wheels promise to run with."""
    needs = []
    for fetch in fetches:
        try:
            tags = parse_wheel_filename(fetch.path.rpartition("/")[2])[3]
        except InvalidWheelFilename:
            continue
        stated = [glibc for tag in tags if (glibc := glibc_of(tag)) is not None]
        needs += [min(stated, key=_number)] if stated else []
    return max(needs, key=_number, default=None)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _made_here(plannings: Sequence[Planning], outlined: Outline, root: Path) -> list[File]:
    """What no index has: verl-env, the script that makes it, locksets, the runtime, results of builds."""
    made = [
        _write(root, BOOTSTRAP, _BOOTSTRAP_SOURCE.read_bytes(), "bootstrap"),
        _write(root, f"{TOOL}/{own_wheel.file_name()}", own_wheel.wheel(), "tool", own_wheel.NAME),
    ]
    for lockset in dict.fromkeys(planning.plan.lockset.id for planning in plannings):
        locks = {lock.file for each in plannings if each.plan.lockset.id == lockset and (lock := each.lock) is not None}
        made += _lockset(lockset, locks, root)
        folder = root / RUNTIME / lockset
        folder.mkdir(parents=True, exist_ok=True)
        wheel = build_runtime(lockset, folder)
        made.append(_file(root, wheel, "runtime", lockset))
    for place, source in outlined.built:
        to = root / WHEELS / BUNDLED / place
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(source, to, symlinks=True)
        made += [_file(root, path, "built", place) for path in sorted(to.rglob("*")) if path.is_file()]
    return made


def _lockset(lockset: str, locks: Iterable[str], root: Path) -> list[File]:
    """The files of a lockset, as they are here, and those that they include."""
    source = constraints_directory() / lockset
    parts = {part for lock in locks for part in lock_parts(source, lock)}
    return [
        _write(root, f"{LOCKSETS}/{lockset}/{name}", (source / name).read_bytes(), "lockset", lockset)
        for name in (LOCKSET_FILE, *sorted(parts))
    ]


def _file(root: Path, path: Path, role: Role, name: str) -> File:
    content = path.read_bytes()
    return File(path.relative_to(root).as_posix(), len(content), sha256(content).hexdigest(), role, name)


def _write(root: Path, path: str, content: bytes, role: Role, name: str = "") -> File:
    """Writes a file of the bundle whole, and onto the disk."""
    to = root / path
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(to)
    version = verl_env.__version__ if role == "tool" else ""
    return File(path, len(content), sha256(content).hexdigest(), role, name, version)
