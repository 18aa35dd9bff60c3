"""A native component: the wheels that are published of it, and how it is built where none fits.

``constraints/components/<name>.toml`` holds one component; ``constraints/components.json`` all of them in one file that
is fast to read. Locksets name components by name and version; everything else about them is here.
"""

from __future__ import annotations

from verl_env.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    #: What a build makes: a wheel; a directory that other builds look into; a source tree, for its headers.
    Product = Literal["wheel", "prefix", "source"]

#: What the address of a wheel begins with that the package index has.
INDEX = "index:"


@record
class Wheel:
    """One published wheel, by what it is in truth rather than by its name.

    Args:
        url: Where it is published; ``index:FILE`` for a file that the package index has, whichever serves it.
        pythons: The Pythons it runs on, ``("3.10",)``; an abi3 wheel names each.
        arch: As in a wheel's platform tag, ``"x86_64"``; None for every architecture.
        torch: The release of torch whose C++ interface it was compiled against, ``"2.6"``; None where it uses none.
        torch_also: Other releases of torch with which it is known to load and work, ``("2.7",)``.
        cuda: The CUDA major or release its libraries belong to, ``"12"`` or ``"12.8"``; None where it uses none.
        rocm: The ROCm release it was compiled for; None where it uses none.
        cxx11abi: The C++ ABI its symbols are of; None where it has none or where nobody has looked.
        gpus: Compute capabilities or gfx targets that it has code for; empty where that is not known.
        glibc: The least glibc by its symbol versions; None where nobody has measured.
        sha256: None where no hash is recorded (``hash-unrecorded``).
        source: Where these facts come from.
        built_on_glibc: The glibc of the system that it was made on, where ``glibc`` is not measured: it may need one as
            new, and no newer; None where that is not known either.
        address_confirmed: False where it was published under its address once and has been moved since.
        date: The day on which it was published or first listed, ``"2025-08-14"``; None where that is not known.
        after: The components that it cannot be without and that get in before it, ``("transformer-engine-cu13",)``;
            each in the version of this release.
        toolkit: The CUDA whose nvcc made it, ``"12.8"``; None where that is not known.
        publisher: Who made it, where that is not the project itself (``"mjun0812/flash-attention-prebuild-wheels"``).
    """

    url: str
    pythons: tuple[str, ...]
    arch: str | None
    torch: str | None
    cuda: str | None
    rocm: str | None
    cxx11abi: bool | None
    gpus: tuple[str, ...]
    glibc: str | None
    sha256: str | None
    source: str
    torch_also: tuple[str, ...] = ()
    built_on_glibc: str | None = None
    address_confirmed: bool = True
    date: str | None = None
    after: tuple[str, ...] = ()
    toolkit: str | None = None
    publisher: str | None = None

    @property
    def file(self) -> str:
        """Its file name, the last part of its address."""
        name = self.url.removeprefix(INDEX).partition("#")[0].rsplit("/", 1)[-1]
        return name.replace("%2B", "+").replace("%2b", "+")

    @property
    def on_index(self) -> bool:
        """Whether it is a file of the package index, and no address but its name and digest say which."""
        return self.url.startswith(INDEX)

    @property
    def is_file(self) -> bool:
        """Whether it lies in a directory here (``housed.py``)."""
        return self.url.startswith("file:")


@record
class Family:
    """Many wheels of one release and one publisher: ``families.wheels_of`` makes them of ``rows``.

    ``url`` has ``{tag}``, ``{cu}`` (``128``), ``{torch}`` and ``{cp}``; ``sha256`` maps ``"12.8 2.8 3.10"`` (CUDA,
    torch and Python) to a digest; the rest is as in ``Wheel``.
    """

    url: str
    rows: tuple[str, ...]
    arch: str
    cuda: str
    cxx11abi: bool
    source: str
    publisher: str | None = None
    gpus: tuple[str, ...] = ()
    glibc: str | None = None
    built_on_glibc: str | None = None
    sha256: Mapping[str, str] = NOTHING


@record
class WheelIndex:
    """A package index of wheels by CUDA and torch, of which the files are not listed here.

    ``url`` has ``{cu}`` (``128``), ``version`` has ``{cuda}`` and ``{torch}`` in its local part; ``pairs`` are those of
    CUDA and torch that somebody has seen there (``"12.8 2.8"``).
    """

    url: str
    version: str
    pairs: tuple[str, ...]
    publisher: str
    source: str


@record
class Tool:
    """A program that a build needs: ``minimum`` <= version < ``below``; either end may be open.

    ``same_major_as`` is ``"cuda"`` where the tool must be of the major release of torch's CUDA (nvcc, checked by
    torch's ``cpp_extension``), which differs from lockset to lockset, or ``"rocm"``; ``exact`` where the minor number
    must be the same too.
    """

    name: str
    minimum: str | None
    below: str | None
    same_major_as: str | None
    reason: str
    exact: bool = False


@record
class NeededFile:
    """A header or library that a build needs and no index serves: ``cudnn.h``, ``mpi.h``, ``libmlx5.so``.

    ``variable`` names the environment variable that says where its package is (``CUDNN_PATH``); ``package`` what
    brings it, for the hint (``"rdma-core"``); ``wheel`` a distribution of the lock that has it, where one does.
    """

    name: str
    kind: Literal["header", "library"]
    variable: str | None
    package: str
    wheel: str | None


@record
class Recipe:
    """How a component is built.

    Args:
        source: ``"sdist"`` (name and version of the component, from the index), ``"git+URL@REF"``, or an archive's URL.
        sha256: Of the sdist or archive; None where no hash is recorded.
        product: What comes of it.
        requires: Python requirements that must be in the build environment, beside torch of the lock; ``{cuda}`` in
            one stands for the CUDA release of the lock, ``"12.8"``.
        cuda: The CUDA major that it is for; None for every one.
        torch: Whether torch of the lock must be there.
        tools: Programs with their ranges.
        files: Headers and libraries.
        after: Components that must be built before.
        env: Variables for the build. ``{prefix:NAME}`` stands for the directory that the component NAME became (the
            component's own name: where it is to be installed), ``{source:NAME}`` for its source tree where that is
            its product, ``{site}`` for the environment's site-packages, ``{jobs}`` for the number of jobs, ``{cuda}``
            for the directory of the CUDA toolkit.
        links: Symbolic links that must be there before the build: path, with the placeholders of ``env``, to target.
        arch_variable: The variable that names GPU targets (``TORCH_CUDA_ARCH_LIST``, ``PYTORCH_ROCM_ARCH``,
            ``NVTE_CUDA_ARCHS``, ``FLASH_ATTN_CUDA_ARCHS``); None where there is nothing to choose.
        arch_style: How it is written: ``"8.0;9.0"`` (dotted), ``"80;90"`` (plain), ``"gfx942;gfx950"`` (gfx).
        settings: Config settings of the build backend, as pip takes them (``"--build-option=--cpp_ext"``).
        commands: What is run in the source tree, one argument vector each, with the placeholders of ``env``: what makes
            a prefix; before the backend, for a wheel.
        folder: Where in the source tree the project lies that is built, ``"sgl-kernel"``; empty for all of it.
        patches: Patches that are applied to the source first: a path inside another component's source,
            ``"deep-ep:third-party/nvshmem.patch"``.
        job_bytes: Memory that one compiler job takes at its peak, in bytes.
        disk_bytes: Room that the build takes, in bytes; None where nobody has measured.
        minutes: How long it takes on 16 cores, roughly; None where nobody has measured.
        compiled: False where its wheel may hold nothing compiled although its tools compile: kernels that are made
            at their first use, or that are a distribution of their own.
        notes: What a person must know.
        sources: Where these facts come from.
    """

    source: str
    sha256: str | None = None
    product: Product = "wheel"
    requires: tuple[str, ...] = ()
    cuda: str | None = None
    torch: bool = True
    tools: tuple[Tool, ...] = ()
    files: tuple[NeededFile, ...] = ()
    after: tuple[str, ...] = ()
    env: Mapping[str, str] = NOTHING
    links: Mapping[str, str] = NOTHING
    arch_variable: str | None = None
    arch_style: Literal["dotted", "plain", "gfx"] = "dotted"
    settings: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    folder: str = ""
    patches: tuple[str, ...] = ()
    job_bytes: int | None = None
    disk_bytes: int | None = None
    minutes: int | None = None
    compiled: bool = True
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@record
class Release:
    """One version of a component; ``gpus`` are the targets that its sources can be compiled for, where limited.

    ``recipes`` in order of preference: a later one where the tools of an earlier one are not there. ``near`` are later
    patch releases, the nearest first, whose wheels may stand in where none of this one fits (``Range`` says in which
    environments).
    """

    version: str
    wheels: tuple[Wheel, ...]
    recipes: tuple[Recipe, ...]
    minimum_gpu: str | None = None
    near: tuple[str, ...] = ()
    families: tuple[Family, ...] = ()


@record
class Range:
    """Which versions of a component something that uses it takes, by its own word.

    Args:
        user: ``"verl"``, an engine, or another component.
        since: The first version of the user that this is said of.
        before: The first of which it is not said any more; None for none yet; ``since`` itself where it is said of that
            release alone.
        most: The last version of the component that it takes; None where it states no limit.
        source: Where it says so.
        least: The first that it takes; None where it states none.
        same: It takes its own version, and no other.
        below: The first after ``least`` that it does not take any more, where it says it so rather than by ``most``.
    """

    user: str
    since: str
    before: str | None
    most: str | None
    source: str
    least: str | None = None
    below: str | None = None
    same: bool = False


@record
class Component:
    """A native component and its releases, newest first; ``imports`` is the module that must import afterwards.

    ``ranges`` say which of its versions those that use it take; ``indexes`` have further wheels of it.
    """

    name: str
    imports: str | None
    releases: tuple[Release, ...]
    ranges: tuple[Range, ...] = ()
    indexes: tuple[WheelIndex, ...] = ()

    def release(self, version: str) -> Release | None:
        """The release of that version, or None."""
        return next((release for release in self.releases if release.version == version), None)


@record
class CompilerLimit:
    """The host compilers that nvcc of one CUDA release (``"12.4"``) takes: gcc before ``gcc_below`` (``"14"``)."""

    cuda: str
    gcc_below: str | None
    source: str


@record
class CapabilityRange:
    """The CUDA releases whose nvcc can make code for a compute capability: from minimum to maximum, both included."""

    capability: str
    minimum: str | None
    maximum: str | None
    source: str


@record
class ToolkitWheels:
    """A compiler of one CUDA release that the index has as wheels, unpacked over one another.

    Args:
        cuda: The release of torch's CUDA that it is for, ``"13.0"``.
        nvcc: The version of its nvcc, ``"13.0.88"``.
        arch: As in a platform tag, ``"x86_64"``.
        files: Its wheels, each file with its digest.
        source: Where these facts come from.
    """

    cuda: str
    nvcc: str
    arch: str
    files: Mapping[str, str]
    source: str


@record
class AbiRule:
    """Which C++ ABI torch's wheels are of, from a release on, up to that of the next rule.

    ``cuda`` is the CUDA release (``"12.4"``) whose wheels it is about; None for all.
    """

    torch: str
    cuda: str | None
    cxx11abi: bool
    source: str


@record
class Catalogue:
    """All that is known of native components."""

    components: Mapping[str, Component]
    compilers: tuple[CompilerLimit, ...]
    capabilities: tuple[CapabilityRange, ...]
    abi: tuple[AbiRule, ...]
    toolkits: tuple[ToolkitWheels, ...] = ()
