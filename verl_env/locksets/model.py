"""What a lockset says: its origin, its contents, and what it needs of a machine.

``constraints/<family>/<variant>/`` holds ``recipe.toml`` (written by hand: the inputs), and what ``verl-env lock``
makes of it: ``lockset.toml`` (this model) and one hashed constraints file per Python (``py3.10.txt``).
"""

from __future__ import annotations

from verl_env.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    Tier = Literal["recorded", "planned", "locked", "installed", "proven"]
    Accelerator = Literal["cuda", "rocm"]


@record
class Variant:
    """The Docker recipe a lockset mirrors: path and commit in verl's repository, time of that commit (UTC).

    ``date`` is a bare date where the time of day is not recorded.
    """

    path: str
    commit: str
    date: str
    facts_id: str


@record
class DriverNeed:
    """Two minima of the NVIDIA kernel driver.

    ``minimum`` is minor-version compatibility of the CUDA major release: below it nothing runs. ``toolkit`` is the
    driver that the CUDA release itself names: below it PTX and newer driver features are missing.
    """

    minimum: str
    toolkit: str | None
    source: str


@record
class GpuNeed:
    """What one component can run on.

    ``targets`` are compute capabilities (``"8.0"``) or gfx targets (``"gfx942"``) with native code; ``ptx`` says
    whether the highest one is also there as PTX. ``minimum`` stands alone where only a lower bound is known.
    """

    component: str
    targets: tuple[str, ...]
    minimum: str | None
    ptx: bool
    source: str


@record
class GlibcNeed:
    """The least glibc, measured from the symbol versions of the wheels, and the file that needs it."""

    minimum: str
    source: str


@record
class Requirements:
    """What a lockset needs of a machine. An empty tuple or None is a condition that it does not have."""

    arch: tuple[str, ...]
    glibc: GlibcNeed | None
    driver: DriverNeed | None
    gpu: tuple[GpuNeed, ...]
    rocm: tuple[str, ...] = ()


@record
class Native:
    """A component that no index serves as a wheel for this stack.

    ``needed_for`` names the stack components that need it (empty: every stack of the lockset); ``env`` is what the
    image sets for its build. Its source, what a build asks of the machine and the wheels that are published of it are
    in the catalogue of components, under its name and version.
    """

    name: str
    version: str
    needed_for: tuple[str, ...]
    reason: str
    env: Mapping[str, str] = NOTHING


@record
class Unmet:
    """A requirement that the image itself leaves unmet, kept on purpose: doctor does not report it."""

    package: str
    requires: str
    installed: str
    reason: str


@record
class PythonLock:
    """One constraints file: its name beside ``lockset.toml`` and what installing it costs, in bytes."""

    python: str
    file: str
    sha256: str
    packages: int
    download_bytes: int
    disk_bytes: int
    unmet: tuple[Unmet, ...]


@record
class Deviation:
    """A place where the lockset differs from its Dockerfile, and why."""

    package: str
    recipe: str
    locked: str
    reason: str


@record
class SmokeTest:
    """A statement that must run in a finished environment; ``needs`` is ``"gpu"`` where it needs one."""

    id: str
    code: str
    needs: str | None


@record
class Install:
    """An environment that was made from a lockset, and whose checks passed.

    ``natives`` maps the native components in it to their versions, ``left_out`` names those that were not; of any
    other nothing is known. ``seen`` is the place in the documentation that tells of it.
    """

    date: str
    python: str
    seen: str
    left_out: tuple[str, ...] = ()
    natives: Mapping[str, str] = NOTHING
    note: str | None = None


@record
class Proof:
    """A run of ``verl-env verify`` on an environment of a lockset.

    ``parts`` maps each to ``passed``, ``failed`` or ``impossible``; ``ok`` says that something passed and nothing
    failed; ``natives`` are the native components that were there, with their versions.
    """

    date: str
    python: str
    ok: bool
    parts: Mapping[str, str]
    natives: Mapping[str, str]
    gpu: str | None = None
    gpus: int = 0
    driver: str | None = None

    def shows(self, component: str) -> bool:
        """Whether a part that passed used a component, as its id says (``refit-vllm``)."""
        return any(state == "passed" and component in part.split("-") for part, state in self.parts.items())


@record
class Lockset:
    """One lockset. ``provides`` are the stack components it can serve (``vllm``, ``sglang``, ``megatron``, ...).

    ``tier`` says how far it was tried, and follows from ``installs`` and ``proofs`` (``evidence.py``): ``proven``;
    ``installed`` and checked for the Pythons in ``installed``; ``locked`` only; ``planned``, for the reason in
    ``planned``; or ``recorded`` because no index serves it.
    """

    id: str
    variant: Variant
    family: str
    verl: str
    order: int
    preview: bool
    tier: Tier
    accelerator: Accelerator
    cuda: str | None
    rocm: str | None
    torch: str
    provides: tuple[str, ...]
    engines: Mapping[str, str]
    requires: Requirements
    pythons: tuple[PythonLock, ...]
    env: Mapping[str, str]
    natives: tuple[Native, ...]
    checks: tuple[SmokeTest, ...]
    deviations: tuple[Deviation, ...] = ()
    notes: tuple[str, ...] = ()
    build_constraints: tuple[str, ...] = ()
    installed: tuple[str, ...] = ()
    planned: str | None = None
    installs: tuple[Install, ...] = ()
    proofs: tuple[Proof, ...] = ()

    def python(self, version: str) -> PythonLock | None:
        """The lock for a Python (``"3.10"``), or None."""
        return next((lock for lock in self.pythons if lock.python == version), None)

    def proven_with(self, components: Iterable[str]) -> tuple[str, ...]:
        """The Pythons for which it was proven with each of the engines among the components."""
        engines = set(components) & set(self.engines)
        proofs = [proof for proof in self.proofs if proof.ok]
        return tuple(
            python
            for python in dict.fromkeys(proof.python for proof in proofs)
            if all(any(proof.shows(engine) for proof in proofs if proof.python == python) for engine in engines)
        )

    def tried_with(self) -> dict[str, str | None]:
        """The native components of the fullest environment that its tier rests on; None for one that was not in it.

        Of what is not named, nothing is known.
        """
        proofs = [proof.natives for proof in self.proofs if proof.ok]
        if proofs:
            fullest = max(proofs, key=len)
            return {native.name: fullest.get(native.name) for native in self.natives}
        if not self.installs:
            return {}
        install = max(self.installs, key=lambda each: (len(each.natives), -len(each.left_out)))
        return {**dict.fromkeys(install.left_out), **install.natives}


@record
class Package:
    """One pinned package of a constraints file. ``hashes`` as pip writes them, ``"sha256:..."``.

    ``url`` is set only for what the package index does not hold: the address of the file, or that of another index
    that has it (``by_index``). Then ``hashes`` are empty where nobody published one (``hash-unrecorded``).
    ``uploaded`` is the time the file was put on the index, where known; ``download_bytes`` is the size of the one file
    that the platform takes, ``disk_bytes`` what it becomes on disk.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    source: Literal["index", "url", "git", "sdist"] = "index"
    url: str | None = None
    uploaded: str | None = None
    download_bytes: int | None = None
    disk_bytes: int | None = None

    @property
    def by_index(self) -> bool:
        """Whether ``url`` is that of an index, which has the file on the page of its project."""
        return self.url is not None and not self.url.endswith(".whl")
