"""What is put into a new generation: the packages of the lock, native components, the runtime, a checkout of verl."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.install import requirements
from verl_env.install.backends.base import Batch, Command, Source
from verl_env.install.classify import classify
from verl_env.install.errors import NativeUnavailable
from verl_env.install.fetch import fetch_native
from verl_env.install.installed import site_packages
from verl_env.install.process import run
from verl_env.install.runtime_wheel import build, bytecode_command
from verl_env.install.sizes import human
from verl_env.install.verl_source import needs_isolation
from verl_env.install.wheel_stage import stage_wheel

if TYPE_CHECKING:
    from collections.abc import Container

    from verl_env.choose.model import Build
    from verl_env.install.inspect import Inspection
    from verl_env.install.model import Options, Plan
    from verl_env.install.prepare import Tools
    from verl_env.install.reporter import Reporter

_TO_HAVE_IT = "to have it: --native prebuilt, or put its wheel into a directory and add --wheelhouse DIR"


class Parts:
    """Installs the parts of a plan into one generation; each method says in words what it came to.

    Args:
        plan: What to install.
        options: From where.
        reporter: Who is told.
        tools: What it is installed with.
        places: The generation, and a directory beside it for requirements and wheels.
    """

    def __init__(
        self, plan: Plan, options: Options, reporter: Reporter, tools: Tools, places: tuple[Path, Path]
    ) -> None:
        self._plan = plan
        self._options = options
        self._reporter = reporter
        self._tools = tools
        self._new, self._stage = places
        #: Native components that could not be had, with the reason.
        self.left_out: dict[str, str] = {}

    def environment(self, prompt: str) -> str:
        """Makes the environment, empty."""
        installer, interpreter = self._tools.installer, self._tools.interpreter
        self._run(installer.make_environment(self._new, interpreter, prompt))
        return f"{interpreter}, by {installer.name} {installer.version}"

    def packages(self, kept: Container[str]) -> str:
        """Installs the packages of the lock but those that will be carried over."""
        packages = [package for package in self._plan.packages if package.name not in kept]
        if packages:
            file = self._stage / "packages.txt"
            requirements.write_locked(file, packages, offline=self._options.offline)
            constraints = requirements.write_constraints(
                self._stage / "build-constraints.txt", self._plan.lockset.build_constraints
            )
            self._install(Batch(file, self._source(), build_constraints=constraints))
        carried = len(self._plan.packages) - len(packages)
        return f"{len(packages)} installed" + (f", {carried} kept" if carried else "")

    def native(self, choice: Build, kept: Container[str], seen: Inspection) -> str:
        """Installs a native component from its published wheel, where it is to be had.

        Raises:
            NativeUnavailable: it is not, and was asked for.
        """
        name = choice.name
        if choice.how == "skip":
            return choice.reason
        if name in kept:
            return "kept"
        if name not in seen.want:
            self.left_out[name] = "" if seen.state is None else seen.state.left_out.get(name, "")
            return f"left out as before: {self.left_out[name]}"
        try:
            return self._fetch_and_install(choice)
        except NativeUnavailable as error:
            if self._options.native_required:
                raise
            self.left_out[name] = error.reason
            self._reporter.warn(f"{name} {choice.version} is left out: {error.reason} ({_TO_HAVE_IT})")
            return "left out"

    def runtime(self) -> str:
        """Installs the runtime distribution, with its bytecode."""
        version = self._install_wheel(build(self._plan.lockset.id, self._stage))
        site = site_packages(self._new, self._plan.python)
        self._run(Command(bytecode_command(self._new / "bin" / "python", site), os.environ))
        return version

    def verl(self) -> str:
        """Installs the checkout of verl, editable."""
        source = self._plan.verl_source or ""
        file = self._stage / "verl.txt"
        requirements.write_editable(file, Path(source))
        isolated = needs_isolation(source, self._plan)
        self._install(Batch(file, self._source(), hashes=False, isolated=isolated))
        return source

    def _fetch_and_install(self, choice: Build) -> str:
        name = choice.name
        wheel = fetch_native(choice, self._options, lambda done, total: self._reporter.progress(name, done, total))
        try:
            self._install_wheel(wheel)
        except ValueError as error:
            raise NativeUnavailable(choice, str(error)) from error
        return human(wheel.stat().st_size)

    def _install_wheel(self, wheel: Path) -> str:
        staged = stage_wheel(wheel, self._stage)
        file = self._stage / f"{staged.name}.txt"
        requirements.write_file(file, staged.name, staged.version, staged.sha256)
        self._install(Batch(file, Source((str(self._stage),), offline=True)))
        return staged.version

    def _source(self) -> Source:
        wheelhouse = self._options.wheelhouse
        return Source(() if wheelhouse is None else (str(wheelhouse.absolute()),), self._options.offline)

    def _install(self, batch: Batch) -> None:
        self._run(self._tools.installer.install(self._new, batch))

    def _run(self, command: Command) -> None:
        done = run(command, self._reporter.terminal)
        if done.code != 0:
            raise classify(self._tools.installer.name, command.argv, done.code, done.output)
