"""What an installer must do for a plan, as commands: a backend runs nothing itself, so a test needs no installer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from verl_env.environment.pins import address
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@record
class Command:
    """A program with its arguments and its whole environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


@record
class Source:
    """Where files come from: the configured index and ``links``, or with ``offline`` the links alone.

    ``links`` are directories or addresses of pages with links to files.
    """

    links: tuple[str, ...] = ()
    offline: bool = False

    @property
    def found(self) -> list[str]:
        """The links as arguments that uv and pip both take."""
        return [word for link in self.links for word in ("--find-links", address(link))]


@record
class Batch:
    """One call of an installer.

    ``requirements`` is a file of pinned requirements; ``hashes`` says that each line carries its hashes and that
    nothing else may be installed; ``build_constraints`` is a file that limits what source distributions are built
    with; ``isolated`` False builds them with what is in the environment. ``constraints`` is a file of versions that
    are taken where something is needed; ``dependencies`` True installs what the requirements need, too. ``again`` True
    installs over what is there; ``fresh`` True too, and takes nothing out of a cache. ``wheels_only`` True builds none.
    """

    requirements: Path
    source: Source = Source()
    hashes: bool = True
    build_constraints: Path | None = None
    isolated: bool = True
    constraints: Path | None = None
    dependencies: bool = False
    fresh: bool = False
    again: bool = False
    wheels_only: bool = False


@record
class Cache:
    """An installer's cache: its directory (None where it keeps none), and whether files are linked out of it."""

    path: Path | None
    linked: bool


class Installer(Protocol):
    """An installer. What is in a batch is all that is installed, unless the batch says otherwise."""

    @property
    def name(self) -> str:
        """``uv`` or ``pip``."""

    @property
    def version(self) -> str:
        """Its version."""

    def make_environment(self, path: Path, interpreter: str, prompt: str) -> Command:
        """Makes an empty virtual environment, with no package in it.

        Args:
            path: Where; nothing is there yet.
            interpreter: The full path of the Python it is made from.
            prompt: What activated shells show.
        """

    def install(self, environment: Path, batch: Batch) -> Command:
        """Installs a batch into an environment that holds none of it."""

    def resolve(self, environment: Path, arguments: Sequence[str], report: Path) -> Command:
        """Says what installing would do, and does nothing: pip as JSON in ``report``, uv in what it prints.

        Args:
            environment: One whose interpreter and packages count.
            arguments: Requirements and options that both know.
            report: A file that is not there yet.
        """

    def cache_for(self, place: Path) -> Cache:
        """Where it keeps downloads, and whether environments in a place take no room of their own for them."""
