"""``--fix``: runs the remedies that are safe and reversible, and takes them back where they do not mend.

Before anything changes, the packages of the environment are kept as hard links beside it (installers replace files,
they do not write into them). Afterwards the environment is diagnosed again: what the new state must not have is the
finding that was to be mended, and any error that was not there before. Otherwise the kept state comes back.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from verl_env.machine.process import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from verl_env.doctor.commands import Shell
    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Diagnosis, Finding, Fix

#: Seconds that one command of an installer may take.
INSTALL_DEADLINE = 3600.0
_TAIL = 2000


@dataclass(frozen=True, slots=True)
class Step:
    """One fix that would run: the finding that it mends and its commands."""

    finding: Finding
    fix: Fix
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fix; ``detail`` says why it failed or was taken back."""

    finding: str
    state: Literal["mended", "taken-back", "failed"]
    detail: str = ""


def steps(diagnosis: Diagnosis) -> tuple[Step, ...]:
    """The fixes of the roots of a diagnosis that may run by themselves."""
    return tuple(
        Step(root, root.remedy.fix, root.remedy.commands)
        for root in diagnosis.roots
        if root.remedy.fix is not None and not root.remedy.fix.build and root.severity != "info"
    )


def apply(step: Step, facts: Facts, before: Diagnosis, again: Callable[[], Diagnosis]) -> Outcome:
    """Runs one fix and keeps its result only where it mends.

    Args:
        step: The fix.
        facts: The facts of the environment, for its place and its installer.
        before: The diagnosis that asked for the fix.
        again: Diagnoses the environment as it is now.

    Raises:
        ValueError: the facts are those of a report, without an environment.
    """
    if facts.target is None:
        raise ValueError(step.finding.id)
    kept = _keep(facts.target.prefix.resolve())
    failure = _run(step.fix, facts.shell)
    after = again() if failure is None else None
    reason = failure if after is None else _worse(step.finding.id, before, after)
    if reason is None:
        shutil.rmtree(kept, ignore_errors=True)
        return Outcome(step.finding.id, "mended")
    _take_back(kept, facts.target.prefix.resolve())
    return Outcome(step.finding.id, "failed" if after is None else "taken-back", reason)


def argv_of(fix: Fix, shell: Shell) -> Iterator[list[str]]:
    """The installer's commands of a fix, run from the tool's own environment."""
    python = shell.python or sys.executable
    pip = [sys.executable, "-m", "pip", "--python", python]
    uv = shell.installer == "uv"
    if fix.uninstall:
        yield (["uv", "pip", "uninstall", "--python", python] if uv else [*pip, "uninstall", "-y"]) + [*fix.uninstall]
    if fix.install:
        options = [] if fix.deps else ["--no-deps"]
        if fix.reinstall:
            options += ["--reinstall" if uv else "--force-reinstall"]
        yield (["uv", "pip", "install", "--python", python] if uv else [*pip, "install"]) + [*options, *fix.install]


def _run(fix: Fix, shell: Shell) -> str | None:
    """Runs a fix; returns why it failed, or None."""
    from verl_env.install.backends.isolation import installer_environment  # noqa: PLC0415  --fix alone needs it
    from verl_env.machine.child import run  # noqa: PLC0415

    for argv in argv_of(fix, shell):
        environment = installer_environment(os.environ)
        outcome = run([_program(argv[0]), *argv[1:]], deadline=time.monotonic() + INSTALL_DEADLINE, env=environment)
        if not isinstance(outcome, Completed):
            return f"{argv[0]}: {type(outcome).__name__}"
        if outcome.returncode:
            return outcome.stderr.decode("utf-8", "replace").strip()[-_TAIL:]
    return None


def _program(name: str) -> str:
    """The path of uv where it is the package beside verl-env and not on PATH; any other program as it is named."""
    from verl_env.install.backends.uv import find_uv  # noqa: PLC0415  --fix alone needs it

    uv = find_uv() if name == "uv" else None
    return name if uv is None else uv.executable


def _worse(mended: str, before: Diagnosis, after: Diagnosis) -> str | None:
    """What the new state must not have: the finding that was mended, or an error that was not there."""
    known = {finding.id for finding in before.findings}
    there = {finding.id for finding in after.findings if finding.id == mended and finding.severity != "info"}
    fresh = [finding for finding in after.findings if finding.severity == "error" and finding.id not in known]
    if there:
        return "the finding is still there"
    return f"a new error: {fresh[0].title}" if fresh else None


def _folders(prefix: Path) -> Sequence[Path]:
    """The directories of an environment that installers write to."""
    sites = [path for path in (prefix / "lib").glob("python3*/site-packages") if path.is_dir()]
    return [*sites, *(path for path in (prefix / "bin",) if path.is_dir())]


def _keep(prefix: Path) -> Path:
    """Hard links of everything that an installer may replace."""
    kept = prefix / ".verl-env-kept"
    shutil.rmtree(kept, ignore_errors=True)
    for folder in _folders(prefix):
        shutil.copytree(folder, kept / folder.relative_to(prefix), symlinks=True, copy_function=_link)
    return kept


def _link(source: str, target: str) -> None:
    """A hard link, or a copy where the file system allows none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _take_back(kept: Path, prefix: Path) -> None:
    """Puts the kept state in the place of the new one."""
    for folder in _folders(kept):
        place = prefix / folder.relative_to(kept)
        aside = place.with_name(f"{place.name}.verl-env-replaced")
        place.rename(aside)
        folder.rename(place)
        shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(kept, ignore_errors=True)
