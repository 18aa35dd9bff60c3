"""``verl-env pip install`` and ``uninstall``: what changes in an environment, and what is remembered of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env import __version__
from verl_env.additions.alter import check_versions, requirements, run_installer
from verl_env.additions.environment import open_environment
from verl_env.additions.errors import NotInstalledError, PipWouldDriftError
from verl_env.additions.metadata import broken, needed_by, reachable, read_metadata
from verl_env.additions.model import Altered, ResolvedAdditions
from verl_env.additions.named_wheels import as_components, check_given, validated
from verl_env.additions.resolve import Base, resolve
from verl_env.credentials import without_credentials
from verl_env.environment.change import LOCK_SECONDS, change
from verl_env.environment.history import Change
from verl_env.environment.installed import installed, site_packages
from verl_env.environment.metadata import Metadata
from verl_env.environment.state import Extra
from verl_env.environment.wheelhouse import put_wheel
from verl_env.install.alter.components import (
    are_components,
    choose_components,
    install_components,
    with_components,
    without_components,
    without_hashes,
)
from verl_env.installers.base import Batch, Source
from verl_env.installers.choice import choose_installer
from verl_env.records import record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from verl_env.additions.environment import Opened
    from verl_env.additions.model import Wishes
    from verl_env.choose.model import Build
    from verl_env.environment.change import NewGeneration
    from verl_env.environment.installed import Distribution
    from verl_env.environment.state import State
    from verl_env.install.alter.components import Components
    from verl_env.installers.base import Installer
    from verl_env.installers.options import Options
    from verl_env.machine.model import Machine
    from verl_env.plans.reporter import Reporter


def add(path: Path, wishes: Wishes, reporter: Reporter, options: Options, machine: Callable[[], Machine]) -> Altered:
    """Adds to an environment what goes with its pins, and remembers that it was asked for.

    Args:
        path: The environment.
        wishes: What is asked for.
        reporter: Who is told.
        options: Where downloads and builds are kept.
        machine: Gives the machine; asked only where a native component is wished for.

    Raises:
        NotMadeHereError: verl-env did not make the environment.
        PipWouldDriftError: it would move a pin, and that was not allowed.
        VerlEnvError: it cannot be had, or not installed; the environment is as it was.
    """
    target = open_environment(path).target
    command = without_credentials(" ".join(["pip install", *(wish.text for wish in wishes.wishes)]))
    with change(target, command, waiting=reporter.note, seconds=options.lock_seconds) as work:
        opened = open_environment(path)
        session = _Session(opened, work, choose_installer(wishes.installer), reporter)
        if told := _builds(wishes):
            reporter.note(told)
        wishes = as_components(wishes, opened, work.stage, reporter, machine)
        options = replace(options, wheelhouse=wishes.wheelhouse or options.wheelhouse)
        wanted = without_hashes([wish for wish in are_components(wishes.wishes) if wish.name not in opened.pins])
        chosen = choose_components(opened, wanted, machine(), options) if wanted else None
        special = set() if chosen is None else {build.name for build in chosen.builds}
        others = replace(wishes, wishes=tuple(wish for wish in wishes.wishes if wish.name not in special))
        resolution = _resolved(session, others, chosen)
        resolution = check_given(resolution, opened, wishes, work.stage, reporter, machine)
        added = () if chosen is None else tuple(_change(build, session.have) for build in chosen.builds)
        changes = tuple(sorted((*added, *resolution.changes), key=lambda change: change.name))
        if not wishes.dry_run:
            _carry_out(session, wishes, resolution, chosen)
        return Altered(target.path, changes, resolution.moved, resolution.broken)


def remove(path: Path, names: Sequence[str], reporter: Reporter, *, allow_drift: bool) -> Altered:
    """Takes packages out of an environment.

    Raises:
        NotMadeHereError: verl-env did not make the environment.
        NotInstalledError: one is not in it.
        PipWouldDriftError: one belongs to the lockset, and that was not allowed.
    """
    target = open_environment(path).target
    command = " ".join(["pip uninstall", *names])
    with change(target, command, waiting=reporter.note, seconds=LOCK_SECONDS) as work:
        opened = open_environment(path)
        have = installed(site_packages(opened.generation, opened.state.python))
        packages = read_metadata(have)
        for name in names:
            if name not in have:
                raise NotInstalledError(name, target.path)
        changes = tuple(Change("-", name, have[name].version, None) for name in names)
        own = {extra.name for extra in opened.state.extras}
        moved = tuple(change for change in changes if change.name in opened.pins and change.name not in own)
        if moved and not allow_drift:
            causes = needed_by(packages, {change.name: change.old or "" for change in moved}, opened.state.python)
            raise PipWouldDriftError("uninstall", names, opened.state.lockset, causes, moved)
        after = {name: package.version for name, package in packages.items() if name not in names}
        work.begin_from_old()
        work.take_over(gone=names)
        state = replace(
            without_components(opened.state, names),
            extras=tuple(extra for extra in opened.state.extras if extra.name not in names),
            drift={**opened.state.drift, **{change.name: None for change in moved}},
        )
        pins = {name: pin for name, pin in opened.pins.items() if name not in names}
        work.commit(state, pins)
        return Altered(target.path, changes, moved, tuple(broken(packages, after, opened.state.python)))


@record
class _Session:
    """A change of one environment: what it is now, where the new generation is made, and with what."""

    opened: Opened
    work: NewGeneration
    installer: Installer
    reporter: Reporter

    @property
    def have(self) -> dict[str, Distribution]:
        """What is installed now."""
        return installed(site_packages(self.opened.generation, self.opened.state.python))


def _resolved(session: _Session, wishes: Wishes, chosen: Components | None) -> ResolvedAdditions:
    """What an index gives; the components that are added count as there."""
    if not wishes.wishes:
        return ResolvedAdditions(())
    opened = session.opened
    builds = () if chosen is None else chosen.builds
    packages = read_metadata(session.have) | {each.name: Metadata(each.name, each.version, (), ()) for each in builds}
    pins = {**opened.pins, **{each.name: each.version for each in builds}}
    base = Base(opened.generation, opened.state.python, opened.state.lockset, packages, pins)
    return resolve(wishes, base, session.installer, session.work.stage)


def _carry_out(session: _Session, wishes: Wishes, resolution: ResolvedAdditions, chosen: Components | None) -> None:
    opened, work = session.opened, session.work
    if not resolution.found and (chosen is None or not chosen.builds):
        state = _remembered(opened, wishes, resolution, session.have)
        if state != opened.state:
            work.amend(state)
        return

    work.begin_from_old()
    parts = None if chosen is None else install_components(chosen, opened, work, session.reporter)
    if resolution.found:
        file = requirements(work.stage, "additions", resolution.found, wishes.options)
        batch = Batch(file, Source(), hashes=False, isolated=wishes.isolated)
        run_installer(session.installer, session.installer.install(work.path, batch), session.reporter.terminal)
    have = work.take_over()
    for wheel in sorted(validated(work.stage).glob("*.whl")):
        put_wheel(work.path, wheel)
    check_versions(resolution.found, have)
    state = _remembered(opened, wishes, resolution, have)
    pins = {**opened.pins, **{change.name: have[change.name].version for change in resolution.moved}}
    if chosen is not None and parts is not None and chosen.builds:
        state = with_components(state, chosen, parts)
        pins |= {build.name: build.version for build in chosen.builds}
    work.commit(state, dict(sorted(pins.items())))


def _change(build: Build, have: Mapping[str, Distribution]) -> Change:
    old = have.get(build.name)
    text = f"{build.version} ({build.reason})"
    return Change("+" if old is None else "~", build.name, None if old is None else old.version, text)


def _remembered(
    opened: Opened, wishes: Wishes, resolution: ResolvedAdditions, have: Mapping[str, Distribution]
) -> State:
    """The record of the environment with what was asked for, and all that came with it."""
    state = opened.state
    texts = _wished(wishes, have)
    packages = read_metadata(have)
    extras = {extra.name: extra for extra in state.extras}
    for name in reachable(packages, texts, state.python):
        if name in opened.pins:
            continue
        before = extras.get(name)
        text = texts.get(name) or (None if before is None else before.wish)
        drifted = bool(resolution.moved) if before is None or name in texts else before.drifted
        found = have[name]
        builds = wishes.builds if before is None or name in texts else before.builds
        extras[name] = Extra(name, found.version, found.origin, found.editable, text, drifted, builds)
    drift = {**state.drift, **{change.name: have[change.name].version for change in resolution.moved}}
    return replace(state, extras=tuple(extras[name] for name in sorted(extras)), drift=drift, tool=__version__)


def _builds(wishes: Wishes) -> str:
    """What may be built, in words: building runs the code of a source; empty where nothing may."""
    named = ", ".join(wish.text for wish in wishes.wishes if wish.is_source)
    if wishes.builds or (named and wishes.options[:2] != ("--only-binary", ":all:")):
        named = ", ".join(filter(None, [named, "source distributions of the index where it has no wheel"]))
    return f"may be built, which runs code of theirs: {named}" if named else ""


def _wished(wishes: Wishes, have: Mapping[str, Distribution]) -> dict[str, str]:
    """What was asked for, by the name of the package that it became."""
    found = {wish.name: wish.text for wish in wishes.wishes if wish.name is not None and wish.name in have}
    placed = ((name, wish) for wish in wishes.wishes for name, each in have.items() if wish.names(each.origin))
    return found | {name: wish.text for name, wish in placed}
