"""What a bundle is: files with their hashes, and the plans that they are for.

BUNDLE/manifest.json          every other file with size and SHA-256, and the plans; written last
BUNDLE/make-verl-env.py       makes verl-env from the bundle with nothing but a Python
BUNDLE/wheels/                a wheelhouse: files of the index, native components, what builds require
BUNDLE/wheels/built/          results of builds, laid out as the cache of builds is
BUNDLE/tool/                  verl-env with its dependencies, pip and uv
BUNDLE/locksets/ID/           the lockset and its constraints, as they were bundled
BUNDLE/runtime/ID/            verl-env-runtime for that lockset
BUNDLE/bom.cdx.json           a CycloneDX bill of materials, where its library is there
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from verl_env.choose.model import NativeMode

    Role = Literal[
        "package", "sdist-wheel", "native", "source", "build", "built", "tool", "lockset", "runtime", "bootstrap", "bom"
    ]

#: The version of the manifest's format. A reader refuses what is newer.
FORMAT = 1
MANIFEST = "manifest.json"
BOOTSTRAP = "make-verl-env.py"
BOM = "bom.cdx.json"
WHEELS = "wheels"
TOOL = "tool"
LOCKSETS = "locksets"
RUNTIME = "runtime"


@record
class File:
    """One file of a bundle.

    ``path`` is relative and has ``/`` between its parts; ``bytes`` its size; ``name`` and ``version`` those of the
    distribution or lockset that it is of; ``of`` is for a wheel built while bundling the path of its source.
    """

    path: str
    bytes: int
    sha256: str
    role: Role
    name: str = ""
    version: str = ""
    of: str | None = None


@record
class NativeWay:
    """How a native component gets in from a bundle: ``prebuilt``, ``build``, ``built`` (built before) or ``skip``."""

    name: str
    version: str
    how: str
    detail: str = ""


@record
class Planned:
    """A plan that a bundle is for.

    ``lock_sha256`` is that of the constraints file; ``glibc`` the least that its wheels promise to run with, None
    where none states one; ``machine`` the record of the machine that it was made for.
    """

    stack: str
    lockset: str
    python: str
    arch: str
    lock_sha256: str
    packages: int
    disk_bytes: int
    glibc: str | None = None
    natives: tuple[NativeWay, ...] = ()
    native: NativeMode | None = None
    wishes: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    verl: bool = True
    machine: Mapping[str, Any] = NOTHING


@record
class Manifest:
    """The contents of a bundle; ``tool`` is the version of verl-env that made it and that it brings.

    ``tool_pythons`` are the Pythons that verl-env can be made for from it.
    """

    files: tuple[File, ...]
    plans: tuple[Planned, ...]
    tool: str
    tool_pythons: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(file.bytes for file in self.files)

    def with_role(self, *roles: str) -> tuple[File, ...]:
        """The files of some roles."""
        return tuple(file for file in self.files if file.role in roles)
