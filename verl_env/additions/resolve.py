"""What must be installed for some wishes, by uv's or pip's resolver: under the pins, or knowingly without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.additions.environment import base_interpreter
from verl_env.additions.errors import PipWouldDriftError, UnresolvedError
from verl_env.additions.metadata import broken, write_metadata
from verl_env.additions.model import Cause, ResolvedAdditions, with_hashes
from verl_env.additions.outputs import causes, pip_found, reasons, uv_found
from verl_env.environment.history import Change
from verl_env.environment.installed import same_version, site_packages
from verl_env.installers.classify import classify
from verl_env.installers.failures import IndexFileMissingError, InstallerFailedError
from verl_env.installers.process import run
from verl_env.records import record, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from verl_env.additions.model import ResolvedPackage, Wishes
    from verl_env.environment.metadata import Metadata
    from verl_env.installers.base import Command, Installer

#: Is among the options where source distributions of the index may not be built.
ONLY = "--only-binary"
_CONSTRAINTS = "constraints.txt"
_REPORT = "report.json"
_HASHED = "hashed.txt"


@record
class Base:
    """What wishes are resolved on.

    ``environment`` is one whose interpreter is used, and whose packages builds without isolation see; ``packages`` is
    what is or will be installed; ``pins`` are the versions that must stay.
    """

    environment: Path
    python: str
    lockset: str
    packages: Mapping[str, Metadata]
    pins: Mapping[str, str]


def resolve(wishes: Wishes, base: Base, installer: Installer, stage: Path) -> ResolvedAdditions:
    """What must be installed for some wishes.

    Args:
        wishes: What is asked for.
        base: What is there.
        installer: Whose resolver is used.
        stage: A directory for files; it must be there.

    Raises:
        PipWouldDriftError: it would move a pin, and that was not allowed.
        UnresolvedError: it cannot be had in any way.
        VerlEnvError: the index cannot be reached, or something does not build.
    """
    refused = _asked_away(wishes, base)
    if refused and not wishes.allow_drift:
        raise PipWouldDriftError("install", wishes.texts, base.lockset, refused, ())
    environment = base.environment if not wishes.isolated else _shadow(base, installer, stage)
    if not refused:
        found, output = _ask(wishes, base, installer, environment, stage, pinned=True)
        if found is not None:
            return _resolution(found, base)
        refused = causes(output, base.pins)
    found, output = _ask(wishes, base, installer, environment, stage, pinned=False)
    if found is None:
        raise UnresolvedError(wishes.texts, reasons(output), wheels_only=ONLY in wishes.options)
    resolution = _resolution(found, base)
    if resolution.moved and not wishes.allow_drift:
        raise PipWouldDriftError("install", wishes.texts, base.lockset, refused, resolution.moved)
    return resolution


def _asked_away(wishes: Wishes, base: Base) -> tuple[Cause, ...]:
    """The pins that a wish itself excludes: no resolver need be asked."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    found = []
    for wish in wishes.wishes:
        if wish.name not in base.pins or wish.name is None:
            continue
        pin = base.pins[wish.name]
        try:
            requirement = Requirement(wish.text)
        except InvalidRequirement:
            continue
        if requirement.url is not None or not requirement.specifier.contains(pin, prereleases=True):
            found.append(Cause(wish.name, pin, "your command", wish.text))
    return tuple(found)


def _shadow(base: Base, installer: Installer, stage: Path) -> Path:
    """An environment with the metadata of the packages alone."""
    shadow = stage / "shadow"
    command = installer.make_environment(shadow, base_interpreter(base.environment), "shadow")
    done = run(command)
    if done.code != 0:
        raise classify(installer.name, command.argv, done.code, done.output)
    write_metadata(site_packages(shadow, base.python), base.packages, base.python, base.pins)
    return shadow


def _ask(
    wishes: Wishes, base: Base, installer: Installer, environment: Path, stage: Path, *, pinned: bool
) -> tuple[tuple[ResolvedPackage, ...] | None, str]:
    """What the resolver found, or None and why it found nothing."""
    files = list(wishes.constraints)
    if pinned:
        constraints = stage / _CONSTRAINTS
        constraints.write_text("".join(f"{name}=={pin}\n" for name, pin in base.pins.items()), encoding="utf-8")
        files.append(str(constraints))
    report = stage / _REPORT
    report.unlink(missing_ok=True)
    command = _command(wishes, installer, environment, files, report)
    done = run(command)
    if done.code == 0:
        editable = [wish.text.partition("[")[0] for wish in wishes.wishes if wish.editable]
        is_pip = installer.name == "pip"
        found = pip_found(report.read_bytes()) if is_pip else uv_found(done.output, editable)
        hashes = {wish.name: wish.hashes for wish in wishes.wishes}
        return tuple(replace(each, hashes=hashes.get(each.name, ())) for each in found), done.output
    error = classify(installer.name, command.argv, done.code, done.output)
    if not isinstance(error, IndexFileMissingError | InstallerFailedError):
        raise error
    return None, done.output


def _command(
    wishes: Wishes, installer: Installer, environment: Path, constraints: Sequence[str], report: Path
) -> Command:
    hashed = report.with_name(_HASHED)
    argv = [*wishes.options, *wishes.resolving]
    argv += [] if wishes.isolated else ["--no-build-isolation"]
    argv += [word for file in constraints for word in ("--constraint", file)]
    argv += ["--requirement", str(hashed)] if _write_hashed(hashed, wishes) else []
    plain = [wish for wish in wishes.wishes if not wish.hashes]
    argv += [word for wish in plain for word in (("--editable", wish.text) if wish.editable else (wish.text,))]
    return installer.resolve(environment, argv, report)


def _write_hashed(file: Path, wishes: Wishes) -> bool:
    """Writes what was asked for with hashes: those cannot be given on a command line; False where nothing was."""
    lines = [with_hashes(wish.text, wish.hashes) for wish in wishes.wishes if wish.hashes]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return bool(lines)


def _resolution(found: Sequence[ResolvedPackage], base: Base) -> ResolvedAdditions:
    changes, moved = [], []
    for each in sorted(found, key=lambda each: each.name):
        old, pin = base.packages.get(each.name), base.pins.get(each.name)
        changes.append(Change("+" if old is None else "~", each.name, old.version if old else None, each.text))
        if pin is not None and (each.origin is not None or not same_version(each.version, pin)):
            moved.append(Change("~", each.name, pin, each.text))
    after = {name: package.version for name, package in base.packages.items()}
    after |= {each.name: each.version for each in found if each.version}
    unmet = tuple(broken(base.packages, after, base.python))
    return ResolvedAdditions(tuple(found), tuple(changes), tuple(moved), unmet)
