"""What a user asks to be added, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.environment.history import Change
    from verl_env.installers.options import InstallerName


def with_hashes(requirement: str, hashes: Sequence[str]) -> str:
    """A line of a requirements file that allows only files of these digests; any file where there are none."""
    return " ".join([requirement, *(f"--hash={digest}" for digest in hashes)])


@record
class ExtraRequirement:
    """One thing that was asked for.

    ``text`` is a requirement, an absolute path or an address; ``name`` the normalised project name, None where the
    text does not state it. ``hashes`` are the digests of its files that a requirements file allows (``sha256:...``).
    """

    text: str
    name: str | None
    editable: bool = False
    hashes: tuple[str, ...] = ()

    @property
    def is_source(self) -> bool:
        """Whether it names a source itself (a checkout, a repository, an sdist), which building it runs."""
        place = self.text.partition("#")[0].partition("[")[0]
        named = self.name is not None and "@" not in self.text
        return not named and not place.endswith(".whl")

    def names(self, origin: str | None) -> bool:
        """Whether what came from an address or directory is what was asked for by a path or an address."""
        if self.name is not None or origin is None:
            return False
        if self.text.startswith("/"):
            from urllib.parse import unquote  # noqa: PLC0415

            return unquote(origin).removeprefix("file://").rstrip("/") == self.text.partition("[")[0]
        return origin.removeprefix("git+").removesuffix(".git").partition("@")[0] in self.text


@record
class Wishes:
    """All that was asked for.

    ``options`` are for the installer, on the resolution and on the installation alike; ``resolving`` for the
    resolution alone; ``constraints`` are files of the user's own; ``wheelhouse`` has wheels of native components too.
    ``builds`` says that any source distribution may be built; else ``options`` allow only the sources that were named.
    """

    wishes: tuple[ExtraRequirement, ...]
    options: tuple[str, ...] = ()
    resolving: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    installer: InstallerName | None = None
    allow_drift: bool = False
    dry_run: bool = False
    isolated: bool = True
    wheelhouse: Path | None = None
    builds: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The wishes as they would be written on a command line."""
        return tuple(f"-e {wish.text}" if wish.editable else wish.text for wish in self.wishes)


@record
class ResolvedPackage:
    """One package that a resolver chose; ``origin`` is its address or directory, None for an index.

    ``version`` is empty where only installing it says; ``builds`` says that it may be built from a source distribution;
    ``hashes`` are those of the files that it may come as, where the user said so.
    """

    name: str
    version: str
    origin: str | None = None
    editable: bool = False
    builds: bool = True
    hashes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The version with what is to be known of it: ``2.7.4 (from file:///wheels/...)``."""
        origin = f"(from {self.origin})" if self.origin else ""
        return " ".join(filter(None, [self.version, origin]))

    @property
    def line(self) -> str:
        """What gives exactly this, as a line of a requirements file."""
        if self.editable:
            return f"--editable {self.origin}"
        if self.origin is not None:
            return with_hashes(f"{self.name} @ {self.origin}", self.hashes)
        pinned = with_hashes(f"{self.name}=={self.version}", self.hashes)
        return pinned + ("" if self.builds else f"\n--only-binary {self.name}")


@record
class ResolvedAdditions:
    """What must be installed for some wishes, and what it does to pins.

    ``changes`` are all that it does; ``moved`` those of them that move a pin; ``broken`` the requirements of installed
    packages, in words, that it leaves unmet and that are met now.
    """

    found: tuple[ResolvedPackage, ...]
    changes: tuple[Change, ...] = ()
    moved: tuple[Change, ...] = ()
    broken: tuple[str, ...] = ()


@record
class Cause:
    """Why something does not go with the pins: ``by`` needs ``needs`` of a package that is locked at a version."""

    package: str
    locked: str
    by: str
    needs: str


@record
class Altered:
    """What came of a change of an environment; the fields as in ``ResolvedAdditions``."""

    path: Path
    changes: tuple[Change, ...]
    moved: tuple[Change, ...] = ()
    broken: tuple[str, ...] = ()
