"""Replay of an image: its steps, one after another, in an environment that holds metadata only.

A Dockerfile is a row of installs, each against what the earlier ones left; what the last one wants wins, and what an
earlier one wanted may stay unmet. A joint solve of all requirements gives another environment (or none). So each step
is resolved alone, as of the date of the recipe, and its result is written as ``.dist-info/METADATA`` for the next.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from verl_env.locksets.errors import (
    FileMissingError,
    HashUnknownError,
    IndexUnreachableError,
    MetadataUnknownError,
    ReplayError,
)
from verl_env.locksets.index import Index, IndexFile, best_file, read_page
from verl_env.locksets.wheelfacts import WheelFacts, wheel_facts
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from verl_env.locksets.index import Page
    from verl_env.locksets.recipe import Addressed, LocksetRecipe, RecipeStep, Virtual
    from verl_env.locksets.target import LockTarget

    #: Makes the resolver of a throw-away directory, a recipe, a target and the address of an index.
    MakeResolver: TypeAlias = Callable[[Path, LocksetRecipe, LockTarget, str], "StepResolver"]

#: Requests to the index at one time.
WORKERS = 16


@record
class StepChange:
    """A package that a step adds (``+``) or removes (``-``); one that it replaces is both."""

    sign: str
    name: str
    version: str


class StepResolver(Protocol):
    """An installer's resolver with the settings of a recipe, and its environment that holds nothing but metadata."""

    site_packages: Path

    def resolve(self, step: RecipeStep, requirements: Sequence[str]) -> tuple[StepChange, ...]:
        """What installing requirements as a step does would change.

        Raises:
            ReplayError: they cannot be resolved.
        """


@record
class Pinned:
    """A release in the replayed environment; a virtual one has no files.

    ``files`` are all its files on the index as of the date, ``file`` the one that the target takes. ``by_url`` says
    that they come from a page or index of the step's own: no default index has them, so the lock needs the address.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    virtual: bool
    facts: WheelFacts | None = None
    file: IndexFile | None = None
    files: tuple[IndexFile, ...] = ()
    by_url: bool = False


@dataclass
class Replay:
    """One replay; ``installed`` is the environment as it stands, by normalised name."""

    recipe: LocksetRecipe
    target: LockTarget
    index: Index
    resolver: MakeResolver
    say: Callable[[str], None] = lambda _: None
    installed: dict[str, Pinned] = field(default_factory=dict)
    _others: dict[str, Index] = field(default_factory=dict)
    _links: dict[str, Page] = field(default_factory=dict)

    def run(self) -> dict[str, Pinned]:
        """Every step in order.

        Returns:
            The environment at the end, virtual components included.

        Raises:
            ReplayError: a step cannot be resolved.
            FileMissingError: the index has no file for a pin.
            HashUnknownError: the index gives no hash of a file.
            MetadataUnknownError: a source distribution's requirements are not stated.
            IndexUnreachableError: the index cannot be read.
        """
        with TemporaryDirectory(prefix="verl-env-lock-") as directory:
            resolver = self.resolver(Path(directory), self.recipe, self.target, self.index.url)
            for number, step in enumerate(self.recipe.steps, 1):
                self.say(f"{self.recipe.id} py{self.target.python}: {number}/{len(self.recipe.steps)} {step.title}")
                self._run_step(step, resolver)
        return self.installed

    def _run_step(self, step: RecipeStep, resolver: StepResolver) -> None:
        for name in step.uninstall:
            self._remove(canonicalize_name(name), resolver.site_packages)
        self._add([self._addressed(wheel) for wheel in step.wheels], resolver.site_packages)
        stated = [line for virtual in step.virtual for line in virtual.requires]
        stated += [line for wheel in step.wheels for line in wheel.requires if not step.no_deps]
        wanted = [*self._effective(step), *stated]
        if wanted:
            self._apply(resolver.resolve(step, wanted), step, resolver.site_packages)
        for virtual in step.virtual:
            self._add([_pinned_virtual(virtual)], resolver.site_packages)

    def _addressed(self, wheel: Addressed) -> Pinned:
        """A wheel that only an address has; what the recipe says of it stands, as the address is not asked."""
        address, python = wheel.address_for(self.target.python), self.target.python
        # Which file an index has is not asked: its tags limit nothing.
        kind = ".tar.gz" if wheel.sdist else "-py3-none-any.whl"
        unasked = f"{wheel.name.replace('-', '_')}-{wheel.version}{kind}"
        name = unquote(address.rpartition("/")[2]) if address.endswith(".whl") else unasked
        file = IndexFile(name, address, wheel.digest_for(python), None, wheel.bytes)
        if address.endswith(".whl") and best_file([file], self.target) is None:
            raise FileMissingError(wheel.name, wheel.version, f"Python {python}, {self.target.arch}: {name}")
        facts = WheelFacts("", wheel.bytes, 0) if wheel.bytes else None
        return Pinned(
            canonicalize_name(wheel.name), wheel.version, wheel.requires, False, facts, file, (file,), by_url=True
        )

    def _effective(self, step: RecipeStep) -> list[str]:
        """The requirements as pip saw them: without what the shell took, and without those for other Pythons."""
        unquoted = set(step.unquoted)
        if strange := unquoted - set(step.install):
            raise ReplayError(step.title, f"unquoted, but not installed: {', '.join(sorted(strange))}")
        effective = []
        for line in step.install:
            requirement = Requirement(line)
            if requirement.marker and not requirement.marker.evaluate(dict(self.target.markers)):
                continue
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            effective.append(f"{requirement.name}{extras}" if line in unquoted else line)
        return effective

    def _apply(self, changes: Iterable[StepChange], step: RecipeStep, site_packages: Path) -> None:
        changes = tuple(changes)
        for change in changes:
            if change.sign == "-":
                self._remove(change.name, site_packages)
        added = [change for change in changes if change.sign == "+"]
        with ThreadPoolExecutor(WORKERS) as pool:
            self._add(pool.map(lambda change: self._pin(change, step), added), site_packages)

    def _pin(self, change: StepChange, step: RecipeStep) -> Pinned:
        """A release with what the index knows of it."""
        files = self._on_index(change, step)
        file = best_file(files, self.target)
        elsewhere = None if file and not step.index_url else self._elsewhere(change, step)
        if elsewhere and elsewhere.sha256 not in {known.sha256 for known in files}:
            file, files = elsewhere, (elsewhere,)
        if file is None:
            raise FileMissingError(change.name, change.version, f"Python {self.target.python}, {self.target.arch}")
        if not file.sha256:
            raise HashUnknownError(change.name, change.version)
        facts = wheel_facts(file)
        requires = _requires(facts.metadata) if file.is_wheel else self._stated(change)
        return Pinned(change.name, change.version, requires, False, facts, file, files, by_url=file is elsewhere)

    def _on_index(self, change: StepChange, step: RecipeStep) -> tuple[IndexFile, ...]:
        """The files of a release on the default index; none of a project that only the step's own source has."""
        try:
            return self.index.release(change.name, change.version, self._date_of(change.name, step))
        except IndexUnreachableError as error:
            if error.passing or not (step.find_links or step.index_url):
                raise
            return ()

    def _elsewhere(self, change: StepChange, step: RecipeStep) -> IndexFile | None:
        """The file of a release on the pages or the index that only this step uses."""
        for place in step.find_links:
            if place not in self._links:
                self._links[place] = read_page(place)
        found = [file for place in step.find_links for file in self._links[place].files()]
        if step.index_url:
            own = self._others.setdefault(step.index_url, Index(step.index_url))
            found += own.release(change.name, change.version)
        wanted = (change.name, Version(change.version))
        return best_file([file for file in found if file.release == wanted], self.target)

    def _date_of(self, name: str, step: RecipeStep) -> str:
        own = (other.date for other in self.recipe.dates if canonicalize_name(other.name) == name)
        return next(own, step.date or self.recipe.date)

    def _stated(self, change: StepChange) -> tuple[str, ...]:
        """The requirements that the recipe states for a source distribution."""
        for sdist in self.recipe.sdists:
            if canonicalize_name(sdist.name) == change.name and Version(sdist.version) == Version(change.version):
                return sdist.requires
        raise MetadataUnknownError(change.name, change.version)

    def _add(self, pins: Iterable[Pinned], site_packages: Path) -> None:
        for pin in pins:
            self._remove(pin.name, site_packages)
            self.installed[pin.name] = pin
            folder = _folder(pin, site_packages)
            folder.mkdir()
            lines = [f"Requires-Dist: {line}" for line in pin.requires]
            head = ["Metadata-Version: 2.1", f"Name: {pin.name}", f"Version: {pin.version}"]
            metadata = (pin.facts and pin.facts.metadata) or "\n".join([*head, *lines, ""])
            (folder / "METADATA").write_text(metadata)
            (folder / "INSTALLER").write_text("verl-env\n")

    def _remove(self, name: str, site_packages: Path) -> None:
        pin = self.installed.pop(name, None)
        if pin:
            shutil.rmtree(_folder(pin, site_packages))


def _folder(pin: Pinned, site_packages: Path) -> Path:
    return site_packages / f"{pin.name.replace('-', '_')}-{pin.version}.dist-info"


def _pinned_virtual(virtual: Virtual) -> Pinned:
    return Pinned(canonicalize_name(virtual.name), virtual.version, virtual.requires, virtual=True)


def _requires(metadata: str) -> tuple[str, ...]:
    """The ``Requires-Dist`` lines of METADATA."""
    return tuple(parse_email(metadata)[0].get("requires_dist", ()))
