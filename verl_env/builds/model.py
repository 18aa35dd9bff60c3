"""What a build knows before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.choose.model import Build
    from verl_env.components.model import Recipe
    from verl_env.machine.model import Toolchain


@record
class BuildProblem:
    """Something that would make a build fail, found before it begins.

    ``id`` is kebab-case and stable (``nvcc-missing``); ``component`` the one that needs it, ``""`` where all do.
    """

    id: str
    component: str
    message: str
    hint: str


@record
class Lock:
    """What of a plan decides how things are built: torch, its accelerator, the Python, every locked version.

    ``constraints`` are the lockset's for build requirements. ``interpreter`` is the Python that environments are
    made from, None where nobody has looked for it yet.
    """

    torch: str
    cuda: str | None
    rocm: str | None
    python: str
    interpreter: str | None
    arch: str
    packages: Mapping[str, str]
    constraints: tuple[str, ...]


@record
class BuildHost:
    """What the host has for builds: tools, CPUs, free memory in bytes (None where not known), glibc, GPU targets.

    ``targets`` are compute capabilities (``"9.0"``) or gfx targets of the GPUs that are built for; ``environ`` the
    variables of the user. ``nvcc_of_index`` says that the host itself has no nvcc that fits.
    """

    toolchain: Toolchain
    cpus: int
    memory: int | None
    glibc: str | None
    targets: tuple[str, ...]
    environ: Mapping[str, str]
    nvcc_of_index: bool = False


@record
class Places:
    """Where sources and logs are kept, below the directory of downloads; ``wheelhouse`` may hold sources too."""

    cache: Path
    wheelhouse: Path | None = None

    @property
    def sources(self) -> Path:
        """Downloaded sources."""
        return self.cache / "sources"

    @property
    def logs(self) -> Path:
        """The output of builds."""
        return self.cache / "logs"


@record
class Job:
    """One component to build, with everything that is decided beforehand.

    ``targets`` are the GPU targets as the recipe's variable has them, None where there is nothing to choose.
    """

    build: Build
    recipe: Recipe
    jobs: int
    targets: str | None

    @property
    def name(self) -> str:
        """The component and its version, in words."""
        return f"{self.build.name} {self.build.version}"
