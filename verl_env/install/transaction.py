"""One new generation: made beside the old one, checked, and put in force by one rename."""

from __future__ import annotations

import errno
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env import __version__
from verl_env.install import journal, requirements
from verl_env.install.backends.base import Batch, Source
from verl_env.install.carry import carry, keepable
from verl_env.install.checks import gpu_here, pick_checks, run_check
from verl_env.install.classify import classify
from verl_env.install.compare import compare, wanted
from verl_env.install.errors import NativeUnavailable, TargetPermission
from verl_env.install.failures import DiskFull, EnvironmentMismatch
from verl_env.install.fetch import fetch_native
from verl_env.install.installed import installed, site_packages
from verl_env.install.process import run
from verl_env.install.relocate import relocate
from verl_env.install.runtime_wheel import build
from verl_env.install.sizes import human
from verl_env.install.state import State, write_state
from verl_env.install.verl_source import needs_isolation
from verl_env.install.wheel_stage import stage_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from verl_env.install.backends.base import Command
    from verl_env.install.inspect import Inspection
    from verl_env.install.model import NativeChoice, Options, Plan, Step, StepKind
    from verl_env.install.prepare import Tools
    from verl_env.install.reporter import Reporter
    from verl_env.install.target import Target

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(slots=True)
class Made:
    """What a transaction came to: natives that could not be had, checks that passed, checks that could not run."""

    left_out: dict[str, str] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


class Transaction:
    """The making of one generation; the lock of its target is held, and what it leaves behind is cleared by others.

    Args:
        plan: What to make.
        target: Where.
        options: How.
        reporter: Who is told.
        seen: What is there now.
        tools: What it is made with.
    """

    def __init__(
        self, plan: Plan, target: Target, options: Options, reporter: Reporter, seen: Inspection, tools: Tools
    ) -> None:
        self._plan = plan
        self._target = target
        self._options = options
        self._reporter = reporter
        self._seen = seen
        self._tools = tools
        self._old = seen.environment
        self._new = target.next_generation()
        self._stage = self._new.with_suffix(".stage")
        self._site = site_packages(self._new, plan.python)
        self._kept = keepable(self._old, plan.python, seen.want)
        self._made = Made()

    def run(self) -> Made:
        """Makes the generation and puts it in force.

        Raises:
            VerlEnvError: a step failed; the old generation is in force.
        """
        entry = journal.begin(self._target.journal, self._new.name)
        natives = iter(self._plan.natives)
        steps: dict[StepKind, Callable[[], str]] = {
            "environment": self._make_environment,
            "packages": self._install_packages,
            "native": lambda: self._install_native(next(natives)),
            "runtime": self._install_runtime,
            "verl": self._install_verl,
            "check": self._check,
            "switch": lambda: self._switch(entry),
        }
        with _worded(self._target):
            self._stage.mkdir()
            for step in self._plan.steps:
                with self._told(step) as detail:
                    detail.append(steps[step.kind]())
        return self._made

    @contextmanager
    def _told(self, step: Step) -> Iterator[list[str]]:
        self._reporter.begin(step)
        started = time.monotonic()
        detail: list[str] = []
        yield detail
        self._reporter.end(step, time.monotonic() - started, "".join(detail))

    def _make_environment(self) -> str:
        installer, interpreter = self._tools.installer, self._tools.interpreter
        self._run(installer.make_environment(self._new, interpreter, self._target.path.name))
        return f"{interpreter}, by {installer.name} {installer.version}"

    def _install_packages(self) -> str:
        kept = {distribution.name for distribution in self._kept}
        packages = [package for package in self._plan.packages if package.name not in kept]
        if packages:
            file = self._stage / "packages.txt"
            requirements.write_locked(file, packages, offline=self._options.offline)
            constraints = requirements.write_constraints(
                self._stage / "build-constraints.txt", self._plan.lockset.build_constraints
            )
            self._install(Batch(file, self._source(), build_constraints=constraints))
        return f"{len(packages)} installed" + (f", {len(kept)} kept" if kept else "")

    def _install_native(self, choice: NativeChoice) -> str:
        name = choice.native.name
        if choice.how == "skip":
            return choice.reason
        if any(distribution.name == name for distribution in self._kept):
            return "kept"
        if name not in self._seen.want:
            self._made.left_out[name] = self._left_out_before(name)
            return f"left out as before: {self._made.left_out[name]}"
        try:
            wheel = fetch_native(choice, self._options, lambda done, total: self._progress(name, done, total))
            self._install_wheel(choice, wheel)
        except NativeUnavailable as error:
            if self._options.native_required:
                raise
            self._made.left_out[name] = error.reason
            self._reporter.warn(f"{error.message}; it is left out ({error.hint})")
            return "left out"
        return human(wheel.stat().st_size)

    def _left_out_before(self, name: str) -> str:
        return "" if self._seen.state is None else self._seen.state.left_out.get(name, "")

    def _install_wheel(self, choice: NativeChoice, wheel: Path) -> None:
        try:
            staged = stage_wheel(wheel, self._stage)
        except ValueError as error:
            raise NativeUnavailable(choice.native, str(error)) from error
        file = self._stage / f"{staged.name}.txt"
        requirements.write_file(file, staged.name, staged.version, staged.sha256)
        self._install(Batch(file, Source((str(self._stage),), offline=True)))

    def _install_runtime(self) -> str:
        staged = stage_wheel(build(self._plan.lockset.id, self._stage), self._stage)
        file = self._stage / "runtime.txt"
        requirements.write_file(file, staged.name, staged.version, staged.sha256)
        self._install(Batch(file, Source((str(self._stage),), offline=True)))
        if self._old is not None:
            carry(self._kept, self._old, self._new)
        return staged.version

    def _install_verl(self) -> str:
        source = self._plan.verl_source or ""
        file = self._stage / "verl.txt"
        requirements.write_editable(file, Path(source))
        isolated = needs_isolation(source, self._plan)
        self._install(Batch(file, self._source(), hashes=False, isolated=isolated))
        return source

    def _check(self) -> str:
        want = wanted(self._plan, without=self._made.left_out)
        wrong = compare(installed(self._site), want)
        if wrong:
            raise EnvironmentMismatch(wrong)
        done = ["packages"]
        if self._options.checks:
            checks, self._made.skipped = pick_checks(self._plan.checks, gpu=gpu_here)
            for check in checks:
                run_check(check, self._new, self._plan.env, self._target.logs, self._stage)
            self._made.checks = tuple(check.id for check in checks)
            done += self._made.checks
        return ", ".join(done)

    def _switch(self, entry: journal.Journal) -> str:
        names = [self._new]
        if self._seen.state is not None and self._seen.state.path != str(self._target.path):
            names.append(Path(self._seen.state.path))
        relocate(self._new, self._site, names=names, to=self._target.path)
        write_state(self._new, self._state(entry.started))
        journal.write(self._target.journal, replace(entry, phase="switch"))
        self._target.point_to(self._new)
        return str(self._target.path)

    def _state(self, made: str) -> State:
        plan = self._plan
        return State(
            path=str(self._target.path),
            lockset=plan.lockset.id,
            stack=plan.stack,
            python=plan.python,
            digest=self._seen.digest,
            verl_source=plan.verl_source,
            left_out=self._left_out(),
            checks=self._made.checks,
            env=dict(plan.env),
            installer=self._tools.installer.name,
            tool=__version__,
            made=made,
        )

    def _left_out(self) -> dict[str, str]:
        skipped = {choice.native.name: choice.reason for choice in self._plan.natives if choice.how == "skip"}
        return skipped | self._made.left_out

    def _source(self) -> Source:
        wheelhouse = self._options.wheelhouse
        return Source(() if wheelhouse is None else (str(wheelhouse.absolute()),), self._options.offline)

    def _install(self, batch: Batch) -> None:
        self._run(self._tools.installer.install(self._new, batch))

    def _run(self, command: Command) -> None:
        done = run(command, self._reporter.terminal)
        if done.code != 0:
            raise classify(self._tools.installer.name, command.argv, done.code, done.output)

    def _progress(self, name: str, done: int, total: int | None) -> None:
        self._reporter.progress(name, done, total)


@contextmanager
def _worded(target: Target) -> Iterator[None]:
    """Turns what the file system refuses into errors with an id."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(target.path.parent, quota=error.errno == errno.EDQUOT) from error
        if error.errno in _FORBIDDEN:
            raise TargetPermission(target.path, f"{error.filename or target.store}: {error.strerror}") from error
        raise
