"""What is put into a new generation: the packages of the lock, native components, the runtime, a checkout of verl."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.builds.environment import assemble
from verl_env.builds.targets import gpu_targets
from verl_env.credentials import without_credentials
from verl_env.environment.damage import spoiled
from verl_env.environment.files import link_or_copy
from verl_env.environment.history import Change
from verl_env.environment.installed import installed, site_packages
from verl_env.environment.overlap import losers
from verl_env.environment.wheelhouse import keep_wheel, put_wheel
from verl_env.install.attempts import build_first_that_works
from verl_env.install.prepare import checked_works
from verl_env.install.provided import link_provided
from verl_env.install.verl_source import needs_isolation
from verl_env.installers import requirements
from verl_env.installers.base import Batch, Command, Source
from verl_env.installers.classify import classify
from verl_env.installers.failures import EnvironmentMismatchError
from verl_env.installers.process import run
from verl_env.locksets.target import LockTarget, oldest_glibc
from verl_env.plans.compare import as_taken, brings_wheel
from verl_env.plans.reuse import keepable, reuse
from verl_env.records import NOTHING, replace
from verl_env.sizes import human
from verl_env.wheels.addressed import fetch_addressed
from verl_env.wheels.errors import NativeUnobtainableError
from verl_env.wheels.fetch import fetch_native, file_sha256
from verl_env.wheels.misrecorded import known_misrecorded, remember_misrecorded
from verl_env.wheels.runtime import NAME as RUNTIME
from verl_env.wheels.runtime import build, bytecode_command, is_whole
from verl_env.wheels.stage import batch_of
from verl_env.wheels.validation import Site, validate_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

    from verl_env.additions.model import ResolvedPackage
    from verl_env.builds.builder import Builder
    from verl_env.builds.tools import Tools
    from verl_env.choose.model import Build
    from verl_env.environment.damage import Spoiled
    from verl_env.environment.expected import Expected
    from verl_env.environment.installed import Distribution
    from verl_env.installers.options import Options
    from verl_env.locksets.model import Package
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan
    from verl_env.plans.reporter import Reporter
    from verl_env.plans.reuse import Kept
    from verl_env.wheels.stage import Staged

TORCH = "torch"
_TO_HAVE_IT = "to try again: --with {}; where its wheel lies in a directory, with --wheelhouse DIR"


class Parts:
    """Installs the parts of a plan into one generation; each method says in words what it came to.

    Args:
        plan: What to install.
        options: From where.
        reporter: Who is told.
        tools: What it is installed with.
        places: The generation, and a directory beside it for requirements and wheels.
        kept: What is carried over from the generation in force, once all else is installed.
        seen: What is there now.
    """

    def __init__(
        self,
        plan: Plan,
        options: Options,
        reporter: Reporter,
        tools: Tools,
        places: tuple[Path, Path],
        *,
        kept: Sequence[Kept],
        seen: Inspection,
    ) -> None:
        self._plan = plan
        self._kept = kept
        self._seen = seen
        self._options = replace(options, digests=NOTHING if seen.state is None else seen.state.digests)
        self._reporter = reporter
        self._tools = tools
        self._new, self._stage = places
        #: Native components that could not be had, with the reason.
        self.left_out: dict[str, str] = {}
        #: The way of each native component that is in the generation.
        self.taken: dict[str, Build] = {}
        #: What each that was built was built from.
        self.facts: dict[str, dict[str, Any]] = {}
        #: The digests of what has no recorded hash, by address.
        self.digests: dict[str, str] = dict(self._options.digests)
        #: What was read of RECORDs of the generation; what is read now is put into it.
        self.read: dict[str, Expected] = {}
        #: What was installed from the lock or beside it, whose files were looked at.
        self.looked: set[str] = set()
        #: Files of these that are not as RECORD says though they came so, by package, with their sizes.
        self.unlike: dict[str, Mapping[str, int | None]] = {}
        self._found: dict[str, Spoiled] = {}
        self._builder: Builder | None = None
        self._lock_site: Path | None = None

    def environment(self, prompt: str) -> str:
        """Makes the environment, empty."""
        installer, interpreter = self._tools.installer, self._tools.interpreter
        self._run(installer.make_environment(self._new, interpreter, prompt))
        return f"{interpreter}, by {installer.name} {installer.version}"

    def packages(self, kept: Container[str]) -> str:
        """Installs the packages of the lock but those that will be carried over."""
        every = [package for package in self._plan.packages if package.url is None]
        packages = [package for package in every if package.name not in kept]
        if packages:
            file = self._stage / "packages.txt"
            requirements.write_locked(file, packages, offline=self._options.offline)
            constraints = requirements.write_constraints(
                self._stage / "build-constraints.txt", self._plan.lockset.build_constraints
            )
            self._install(Batch(file, self._source(), build_constraints=constraints))
            self._again(
                {package.name for package in packages},
                lambda names: requirements.write_locked(
                    file, [each for each in packages if each.name in names], offline=self._options.offline
                ),
                Batch(file, self._source(), build_constraints=constraints, fresh=True),
            )
            self._settle(file, packages, constraints)
        return _counted(len(packages), len(every))

    def addressed(self, kept: Container[str]) -> str:
        """Installs the wheels of the lock that only an address has, torch first: the others are judged against it.

        Raises:
            PackageUnavailableError: one cannot be had.
            NativeMismatchError: one cannot work in this environment or on these GPUs.
            HashMismatchError: one is another file than the recorded one.
        """
        every = [package for package in self._plan.packages if package.url is not None]
        packages = [package for package in every if package.name not in kept]
        target = LockTarget(self._plan.python, self._plan.arch, self._glibc or oldest_glibc(self._plan.lockset))
        for package in sorted(packages, key=lambda each: (each.name != TORCH, each.name)):
            name = package.name
            told = functools.partial(self._reporter.progress, name)
            build, wheel = fetch_addressed(package, target, self._options, told)
            if package.source == "sdist":
                self._note_digest(build, file_sha256(wheel))
                self._install_sdist(package, wheel)
                continue
            self._check(build, wheel, self._site() if TORCH in kept else site_packages(self._new, self._plan.python))
            self._note_digest(build, self._install_wheel(wheel).sha256)
        return _counted(len(packages), len(every))

    def native(self, choice: Build) -> str:
        """Installs a native component from its published wheel, or from one that is built now; else by another way.

        Raises:
            NativeUnobtainableError: no way works, and it was asked for.
            NativeMismatchError: its only wheel cannot work in this environment, and was asked for or built here.
            NativeBuildFailedError: it did not build.
        """
        name, seen = choice.name, self._seen
        if choice.how == "skip":
            return "" if choice.warnings else choice.reason
        if any(name == each.name for each in self._kept):
            self._keep(choice)
            return "kept"
        if not brings_wheel(choice):
            return "made when what is built upon it is"
        if name not in seen.want:
            self.left_out[name] = "" if seen.state is None else seen.state.left_out.get(name, "")
            return f"left out as before: {self.left_out[name]}"
        if (gone := self._useless(choice)) is not None:
            self.left_out[name] = f"{gone} could not be had"
            return f"left out: {self.left_out[name]}"
        return self._install_by_some_way(choice)

    def runtime(self) -> str:
        """Installs the runtime distribution, with its bytecode."""
        version = self._install_wheel(build(self._plan.lockset.id, self._stage)).version
        site = site_packages(self._new, self._plan.python)
        if not is_whole(site):
            raise EnvironmentMismatchError([Change("~", RUNTIME, "damaged start-up files", version)])
        self._run(Command(bytecode_command(self._new / "bin" / "python", site), os.environ))
        return version

    def additions(self, found: Sequence[ResolvedPackage]) -> None:
        """Installs what users added beside the lock."""
        if found:
            file = self._stage / "additions.txt"
            _write_lines(file, [each.line for each in found])
            self._install(Batch(file, self._source(), hashes=False))
            self._again(
                {each.name for each in found if not each.editable},
                lambda names: _write_lines(file, [each.line for each in found if each.name in names]),
                Batch(file, self._source(), hashes=False, fresh=True),
            )
            self._reporter.note(f"beside the lock: {', '.join(f'{each.name} {each.text}' for each in found)}")

    def verl(self) -> str:
        """Installs the checkout of verl, editable."""
        source = self._plan.verl_source or ""
        file = self._stage / "verl.txt"
        requirements.write_editable(file, Path(source))
        isolated = needs_isolation(source, self._plan)
        self._install(Batch(file, self._source(), hashes=False, isolated=isolated))
        return source

    def _keep(self, choice: Build) -> None:
        """Notes of a component that is carried over what is recorded of it."""
        state = self._seen.state
        keep_wheel(self._new, self._seen.environment, choice.name)
        self.taken[choice.name] = as_taken(choice, {} if state is None else state.ways)
        if state is not None and choice.name in state.facts:
            self.facts[choice.name] = dict(state.facts[choice.name])

    def _install_by_some_way(self, choice: Build) -> str:
        if choice.after and all(name in self.taken for name in choice.after):
            # What is in place for this way would lie under any other.
            choice = replace(choice, others=tuple(way for way in choice.others if way.after == choice.after))
        taken = build_first_that_works(choice, self._install_by, self._reporter.warn)
        if taken.way is None:
            self.left_out[choice.name] = taken.detail
            more = _TO_HAVE_IT.format(choice.name)
            self._reporter.warn(f"{choice.name} {choice.version} is left out: {taken.detail} ({more})")
            return "left out"
        self.taken[choice.name] = taken.way
        return taken.detail

    def _useless(self, choice: Build) -> str | None:
        """The component without which a part is of no use, where that was left out and the part is only one of its."""
        owner = next((each for each in self._plan.natives if choice.name in each.after), None)
        parts = owner.after if owner is not None and not choice.required else ()
        return next((name for name in parts if name in self.left_out), None)

    def _install_by(self, way: Build) -> str:
        if lacking := [name for name in way.after if name in self.left_out]:
            raise NativeUnobtainableError(way, f"it is of no use without {lacking[0]}, which could not be had")
        return self._build_and_install(way) if way.how == "build" else self._fetch_and_install(way)

    def _fetch_and_install(self, choice: Build) -> str:
        name = choice.name
        python = self._new / "bin" / "python"
        wheel = fetch_native(
            choice, self._options, lambda done, total: self._reporter.progress(name, done, total), python
        )
        self._check(choice, wheel)
        try:
            staged = self._install_wheel(wheel)
            self._note_digest(choice, staged.sha256)
            put_wheel(self._new, staged.file)
        except ValueError as error:
            raise NativeUnobtainableError(choice, str(error)) from error
        return human(wheel.stat().st_size)

    def _note_digest(self, build: Build, digest: str) -> None:
        """Keeps the digest of what no hash is recorded of."""
        if build.wheel is not None and build.wheel.sha256 is None and not build.wheel.url.startswith("file:"):
            self.digests[without_credentials(build.wheel.url)] = f"sha256:{digest}"

    def _build_and_install(self, choice: Build) -> str:
        builder = self._builder_of(choice)
        wheel = builder.wheel(choice.name)
        put_wheel(self._new, self._install_wheel(wheel).file)
        self.facts[choice.name] = builder.facts(choice.name)
        return f"{wheel.name}, {human(wheel.stat().st_size)}"

    def _builder_of(self, choice: Build) -> Builder:
        """The builder of what was to be built from the start; one of its own for what came to be built."""
        if choice not in self._plan.natives:
            return self._make_builder(self._tools_for(choice))
        if self._builder is None:
            self._builder = self._make_builder(self._tools)
        return self._builder

    def _tools_for(self, choice: Build) -> Tools:
        """The tools, with what a build needs that was not planned, once it is certain that all of it is there."""
        natives = tuple(choice if each.name == choice.name else each for each in self._plan.natives)
        plan = replace(self._plan, natives=natives)
        works = checked_works(plan, self._options, self._seen, self._tools.interpreter)
        return replace(self._tools, works=works)

    def _make_builder(self, tools: Tools) -> Builder:
        from verl_env.builds.builder import Builder  # noqa: PLC0415 (few environments need one)

        return Builder(
            tools,
            self._source(),
            self._reporter,
            sites=lambda: (self._site(), site_packages(self._new, self._plan.python)),
            check=lambda job, wheel: self._check(job.build, wheel),
        )

    @property
    def _glibc(self) -> str | None:
        """The machine's glibc, where it is known."""
        glibc = None if self._options.machine is None else self._options.machine.host.glibc
        return glibc if isinstance(glibc, str) else None

    def _check(self, build: Build, wheel: Path, site: Path | None = None) -> None:
        """Reads a wheel against torch of the lock and this host, before anything installs it."""
        plan, machine = self._plan, self._options.machine
        with Site(
            site or self._site(),
            plan.python,
            plan.arch,
            glibc=self._glibc,
            cuda=plan.lockset.cuda,
            rocm=plan.lockset.rocm,
            gpus=gpu_targets(machine, plan.lockset.accelerator),
            environment={**os.environ, **plan.env},
        ) as place:
            validate_wheel(wheel, build, place)

    def _site(self) -> Path:
        """The directory with the lock's packages, those that are kept among them."""
        if self._lock_site is None:
            old, want = self._seen.environment, self._seen.want
            place = self._stage / "lock"
            self._lock_site = assemble(self._new, old, self._kept, want, place, self._plan.python)
            if self._plan.provided:
                if not place.exists():
                    reuse(keepable(self._new, self._plan.python, want), self._new, place)
                self._lock_site = site_packages(place, self._plan.python)
                link_provided(self._plan.provided, self._lock_site)
        return self._lock_site

    def _install_wheel(self, wheel: Path) -> Staged:
        staged, batch = batch_of(wheel, self._stage)
        self._install(batch)
        return staged

    def _install_sdist(self, package: Package, sdist: Path) -> None:
        """Installs a source distribution of Python alone, by an isolated build, and no other file of that name."""
        directory, source = self._stage / package.name, self._source()
        directory.mkdir(exist_ok=True)
        link_or_copy(str(sdist), str(directory / sdist.name))
        file = self._stage / f"{package.name}.txt"
        requirements.write_file(file, package.name, package.version, file_sha256(sdist))
        self._install(Batch(file, Source((*source.links, str(directory)), source.offline)))

    def _source(self) -> Source:
        wheelhouse = self._options.wheelhouse
        return Source(() if wheelhouse is None else (str(wheelhouse.absolute()),), self._options.offline)

    def _install(self, batch: Batch) -> None:
        self._run(self._tools.installer.install(self._new, batch))

    def _again(self, names: Collection[str], write: Callable[[Container[str]], None], batch: Batch) -> None:
        """Installs anew what is not as its RECORD says though it was just installed: the cache's copy was changed.

        What is so still, fetched past every cache under its locked hash, is as its wheel is.

        Args:
            names: What was installed.
            write: Writes the requirements of some of them into the file of the batch.
            batch: What installs them.
        """
        there = installed(site_packages(self._new, self._plan.python))
        usual = known_misrecorded(there)
        self._look(there, names)
        changed = {name: left for name, each in self._found.items() if (left := each.beyond(usual.get(name, NOTHING)))}
        words = "; ".join(f"{name}: {each.text}" for name, each in changed.items())
        if not changed:
            return
        if batch.source.offline and not batch.source.links:
            for name in changed:
                self.unlike.pop(name, None)
            self._reporter.warn(f"the installer's cache is damaged, and offline there is no other source ({words})")
            return
        self._reporter.note(f"fetched anew, as the installer's cache has it damaged ({words})")
        write(changed)
        self._install(batch)
        self._look(there, changed)
        remember_misrecorded(there, self._found.values())

    def _look(self, there: Mapping[str, Distribution], names: Collection[str]) -> None:
        """Looks at the files of what was installed, and notes what is not as RECORDs say."""
        site = site_packages(self._new, self._plan.python)
        self._found = spoiled(site, there, read=self.read, only=names)
        self.looked |= set(names)
        for name in names:
            self.unlike.pop(name, None)
        self.unlike |= {name: each.files for name, each in self._found.items() if each.files}

    def _settle(self, file: Path, packages: Sequence[Package], constraints: Path | None) -> None:
        """Gives files that several packages of the lock have to the last of them: installers write in any order."""
        for name in losers(self._new, [package.name for package in packages], self.read):
            only = [package for package in packages if package.name == name]
            requirements.write_locked(file, only, offline=self._options.offline)
            self._install(Batch(file, self._source(), build_constraints=constraints, again=True))

    def _run(self, command: Command) -> None:
        done = run(command, self._reporter.terminal)
        if done.code != 0:
            raise classify(self._tools.installer.name, command.argv, done.code, done.output)


def _counted(done: int, every: int) -> str:
    return f"{done} installed" + (f", {every - done} kept" if every > done else "")


def _write_lines(file: Path, lines: Iterable[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
