"""A new generation in which some packages are as the environment's lockset has them, and all else is taken over."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from verl_env.additions.alter import run_installer
from verl_env.additions.environment import Opened
from verl_env.additions.errors import NotMadeHereError
from verl_env.additions.model import ExtraRequirement
from verl_env.additions.replace import check_recorded
from verl_env.environment.pins import read_pins
from verl_env.environment.state import read_state
from verl_env.install.alter.components import choose_components, install_components, with_components
from verl_env.installers import requirements
from verl_env.installers.base import Batch, Source
from verl_env.installers.choice import choose_installer
from verl_env.locksets.catalogue import load_catalogue, packages_of
from verl_env.locksets.target import LockTarget, oldest_glibc
from verl_env.records import replace
from verl_env.wheels.addressed import fetch_addressed
from verl_env.wheels.stage import batch_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from verl_env.environment.change import NewGeneration
    from verl_env.environment.state import State
    from verl_env.installers.base import Installer
    from verl_env.installers.options import Options
    from verl_env.locksets.model import Lockset, Package
    from verl_env.machine.model import Machine
    from verl_env.plans.reporter import Reporter


def restore_packages(
    new: NewGeneration,
    names: Collection[str],
    means: tuple[Options, Machine, Reporter],
    *,
    others: Sequence[str] = (),
    gone: Collection[str] = (),
) -> tuple[State, dict[str, str]]:
    """Makes a generation in which packages are the lockset's, by its hashes, and native components the wheels that fit.

    Args:
        new: The generation.
        names: Canonical names of packages or native components of the environment's lockset.
        means: How to install, the machine that native components are chosen for, and who is told.
        others: Requirements that the lockset does not have, to install in a new copy.
        gone: Names of packages that go.

    Returns:
        The record and the pins of the new generation.

    Raises:
        NotMadeHereError: no lockset is recorded.
        VerlEnvError: something cannot be had, or the installer failed.
    """
    opened, lockset = _opened(new)
    state, (options, machine, reporter) = opened.state, means
    native = [each.name for each in lockset.natives if each.name in names]
    wishes = tuple(ExtraRequirement(name, name) for name in native)
    chosen = choose_components(opened, wishes, machine, options) if native else None
    new.begin_from_old()
    locked = [each for each in packages_of(lockset, state.python) if each.name in names and each.name not in native]
    of_index = [each for each in locked if each.url is None]
    _install(new, choose_installer(None), options, of_index, others, lockset)
    _install_addressed(new, state.python, means, [each for each in locked if each.url is not None], lockset)
    if chosen is not None:
        parts = install_components(chosen, opened, new, reporter, anew=native)
        state = with_components(state, chosen, parts)
    check_recorded(new, gone)
    have = new.take_over(gone=gone)
    pins = dict(opened.pins) | {name: have[name].version for name in [each.name for each in locked] if name in have}
    moved = {name: version for name, version in state.drift.items() if name not in names}
    return replace(state, drift=moved), {name: pins[name] for name in sorted(pins)}


def _opened(new: NewGeneration) -> tuple[Opened, Lockset]:
    """The environment that is changed, and its lockset."""
    state = None if new.old is None else read_state(new.old)
    if new.old is None or state is None:
        raise NotMadeHereError(new.target.path, "an environment without a record")
    lockset = next((each for each in load_catalogue() if each.id == state.lockset), None)
    if lockset is None:
        raise NotMadeHereError(new.target.path, f"an environment of {state.lockset}, which this verl-env does not know")
    pins = {each.name: each.version for each in packages_of(lockset, state.python, verify=False)}
    return Opened(new.target, new.old, state, read_pins(new.old) or pins), lockset


def _install_addressed(
    new: NewGeneration,
    python: str,
    means: tuple[Options, Machine, Reporter],
    packages: Sequence[Package],
    lockset: Lockset,
) -> None:
    """Installs wheels of the lock that only an address has."""
    options, machine, reporter = means
    glibc, arch = machine.host.glibc, lockset.requires.arch[0]
    target = LockTarget(python, arch, glibc if isinstance(glibc, str) else oldest_glibc(lockset))
    for package in packages:
        _, wheel = fetch_addressed(package, target, options, functools.partial(reporter.progress, package.name))
        installer = choose_installer(None)
        run_installer(installer, installer.install(new.path, batch_of(wheel, new.stage)[1]), None)


def _install(
    new: NewGeneration,
    installer: Installer,
    options: Options,
    locked: Sequence[Package],
    others: Sequence[str],
    lockset: Lockset,
) -> None:
    links = () if options.wheelhouse is None else (str(options.wheelhouse.absolute()),)
    source = Source(links, options.offline)
    if locked:
        file = new.stage / "restored.txt"
        requirements.write_locked(file, locked, offline=options.offline)
        constraints = requirements.write_constraints(new.stage / "build-constraints.txt", lockset.build_constraints)
        batch = Batch(file, source, build_constraints=constraints)
        run_installer(installer, installer.install(new.path, batch), None)
    if others:
        file = new.stage / "others.txt"
        file.write_text("".join(f"{line}\n" for line in others), encoding="utf-8")
        run_installer(installer, installer.install(new.path, Batch(file, source, hashes=False, wheels_only=True)), None)
