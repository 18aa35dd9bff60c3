"""Installing from a bundle: what it is for, whether this machine fits, and an installation that sees nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.bundle.errors import BundleLacksError, BundleMisfitError
from verl_env.bundle.manifest import to_bytes
from verl_env.bundle.model import BOOTSTRAP, MANIFEST, WHEELS
from verl_env.bundle.verify import opened, read_manifest, verify
from verl_env.environment.files import remove_trees
from verl_env.installers.isolation import changed
from verl_env.records import record, replace
from verl_env.settings.config import cache_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from verl_env.bundle.model import Manifest, Planned
    from verl_env.choose.model import NativeMode, Request
    from verl_env.environment.target import Target
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Machine
    from verl_env.plans.model import Plan


@record
class Bundle:
    """A bundle that something is to be installed from; its files have not been looked at yet."""

    path: Path
    manifest: Manifest

    @property
    def built_here(self) -> Path:
        """Where results of builds from this bundle are kept: nothing else gets there."""
        digest = sha256(to_bytes(self.manifest)).hexdigest()[:16]
        return cache_directory().absolute() / "bundles" / digest

    def plans(self, request: Request | None, python: str | None) -> tuple[Planned, ...]:
        """The plans that fit what is asked for.

        Args:
            request: None for whatever the bundle is for.
            python: A Python alone, where no stack is asked for.

        Raises:
            BundleLacksError: it is for none of that.
        """
        found = self.manifest.plans
        if request is not None:
            found = tuple(plan for plan in found if set(plan.stack.split("+")) == set(request.stack))
            found = tuple(
                plan for plan in found if request.lockset in (None, plan.lockset, plan.lockset.split("/")[-1])
            )
        found = tuple(plan for plan in found if python in (None, plan.python))
        if not found:
            asked = [] if request is None else [f"--stack {request.name}"]
            asked += [f"--lockset {request.lockset}"] if request is not None and request.lockset else []
            asked += [f"--python {python}"] if python else []
            raise BundleLacksError(self.path, " ".join(asked), [_words(plan) for plan in self.manifest.plans])
        return found

    def check(self, progress: Callable[[int], None]) -> None:
        """Compares every file with the manifest.

        Raises:
            BundleDamagedError: some differ.
            BundleInvalidError: it cannot be read any more.
        """
        with opened(self.path) as store:
            verify(store, self.manifest, progress)

    @contextlib.contextmanager
    def closed(self, target: Target) -> Iterator[Path]:
        """Gives the wheelhouse; meanwhile installers keep what they unpack beside the target, and see no other cache.

        A tar file is unpacked there, too: call ``check`` first.
        """
        target.make_store()
        _clear_dead(target)
        room = target.store / f"bundle-{os.getpid()}"
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir()
        try:
            wheels = self.path.absolute() / WHEELS if self.path.is_dir() else self.unpack(room / "files") / WHEELS
            with changed({"UV_CACHE_DIR": str(room / "uv"), "PIP_NO_CACHE_DIR": "1"}):
                yield wheels
        finally:
            shutil.rmtree(room, ignore_errors=True)

    @contextlib.contextmanager
    def outlined(self) -> Iterator[Path]:
        """Gives the wheelhouse for a look at what is in it; of a tar file one with names, and records of builds."""
        if self.path.is_dir():
            yield self.path.absolute() / WHEELS
            return
        with tempfile.TemporaryDirectory(prefix="verl-env-") as room, opened(self.path) as store:
            for file in self.manifest.files:
                path = Path(room, file.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"".join(store.chunks(file.path)) if path.suffix == ".json" else b"")
            yield Path(room, WHEELS)

    def unpack(self, to: Path) -> Path:
        """Writes what the manifest names, and the manifest, into a directory: the same bundle; ``check`` it."""
        with opened(self.path) as store:
            for file in self.manifest.files:
                path = to / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as out:
                    for chunk in store.chunks(file.path):
                        out.write(chunk)
        (to / MANIFEST).write_bytes(to_bytes(self.manifest))
        return to


def open_bundle(path: Path) -> Bundle:
    """A bundle by its directory or file.

    Raises:
        BundleInvalidError: it is none, or it cannot be read.
    """
    with opened(path) as store:
        return Bundle(path, read_manifest(store))


def request_of(planned: Planned, *, native: NativeMode | None, wishes: Iterable[str]) -> Request:
    """What a plan of a bundle asks for, with what is asked for besides.

    Args:
        planned: The plan.
        native: How native components get in, None as the bundle was made for.
        wishes: What the environment must have beside those of the plan.
    """
    from verl_env.choose.model import Request  # noqa: PLC0415

    return Request(
        tuple(planned.stack.split("+")),
        lockset=planned.lockset,
        python=planned.python,
        preview=True,
        native=native or planned.native,
        wishes=tuple(dict.fromkeys((*planned.wishes, *wishes))),
    )


def machine_for(planned: Planned, here: Machine) -> Machine:
    """The machine that a plan of a bundle is installed for: this one; on a host without a GPU that of the bundle.

    Whoever runs it compares again (``install.fitness``).
    """
    from verl_env.machine.record import machine_from_json  # noqa: PLC0415

    if here.nvidia is not None or here.amd is not None or not planned.machine:
        return here
    recorded = machine_from_json(dict(planned.machine))
    return replace(here, nvidia=recorded.nvidia, amd=recorded.amd)


def check_fit(bundle: Bundle, planned: Planned, machine: Machine) -> None:
    """Whether the files for a plan can be used on a machine; what the lockset needs of it is the chooser's to say.

    Raises:
        BundleMisfitError: they cannot.
    """
    host = machine.host
    arch, glibc = (value if isinstance(value, str) else None for value in (host.arch, host.glibc))
    again = (
        "make one for this machine: verl-env probe -o machine.json here, then where there is a network: "
        f"verl-env bundle --stack {planned.stack} --machine machine.json -o {bundle.path.name}"
    )
    if arch is not None and arch != planned.arch:
        raise BundleMisfitError(bundle.path, "architecture", planned.arch, arch, again)
    if planned.glibc is not None and glibc is not None and _number(glibc) < _number(planned.glibc):
        raise BundleMisfitError(bundle.path, "glibc", f"{planned.glibc} or newer", glibc, again)


def check_lock(bundle: Bundle, planned: Planned, lockset: Lockset) -> None:
    """Whether this verl-env has the lock that was bundled.

    Raises:
        BundleMisfitError: it has another one of that name.
    """
    lock = lockset.python(planned.python)
    have = "none" if lock is None else lock.sha256
    if have != planned.lock_sha256:
        name = f"the lock of {planned.lockset} for Python {planned.python}"
        hint = f"use the verl-env that is in the bundle: python3 {bundle.path / BOOTSTRAP} DIR"
        if not bundle.path.is_dir():
            hint = f"use the verl-env of the bundle: tar -xOf {bundle.path} {BOOTSTRAP} | python3 - DIR {bundle.path}"
        raise BundleMisfitError(bundle.path, name, f"sha256 {planned.lock_sha256[:12]}", f"{have[:12]}", hint)


def with_built(plan: Plan, manifest: Manifest) -> Plan:
    """The plan, with the hashes of wheels that were built of source distributions while bundling."""
    built = {(file.name, file.version): f"sha256:{file.sha256}" for file in manifest.with_role("sdist-wheel")}
    packages = tuple(
        replace(each, hashes=(*each.hashes, built[each.name, each.version]))
        if (each.name, each.version) in built
        else each
        for each in plan.packages
    )
    return replace(plan, packages=packages)


def _words(plan: Planned) -> str:
    return f"{plan.stack} ({plan.lockset}, Python {plan.python}, {plan.arch})"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _clear_dead(target: Target) -> None:
    """Removes what runs left beside the target that were killed."""
    for path in target.store.glob("bundle-*"):
        number = path.name.removeprefix("bundle-")
        if number.isdigit() and not Path("/proc", number).exists():
            remove_trees([path])
