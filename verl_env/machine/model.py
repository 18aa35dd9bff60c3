"""The facts of one machine.

A fact has three states. A value: it was found. ``None``: it was looked for and is not there. ``UNKNOWN``: nothing is
known of it, and no decision may rest on it. JSON keeps them apart: ``null`` is None, a key left out is UNKNOWN.
"""

from __future__ import annotations

from verl_env.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum
    from typing import Final, Literal, TypeAlias, TypeVar

    T = TypeVar("T")
    Known: TypeAlias = "T | Unknown"
    Fact: TypeAlias = "T | Unknown | None"


if TYPE_CHECKING:

    class Unknown(Enum):
        """As below."""

        UNKNOWN = "unknown"

        def __bool__(self) -> Literal[False]: ...

else:

    class Unknown:
        """The type of ``UNKNOWN``, a fact that nobody has looked for or could establish.

        Type checkers see an Enum of one member, whose import would take a probe 4 ms.
        """

        __slots__ = ()

        def __new__(cls) -> Unknown:  # noqa: PYI034  (typing.Self came with 3.11)
            """The one there is."""
            return cls.UNKNOWN

        def __bool__(self) -> Literal[False]:
            return False

        def __repr__(self) -> str:
            return "UNKNOWN"

        def __reduce__(self) -> tuple[type[Unknown], tuple[()]]:
            return Unknown, ()

    Unknown.UNKNOWN = object.__new__(Unknown)


UNKNOWN: Final = Unknown.UNKNOWN


@record
class Host:
    """The operating system and the share of the hardware that this process may use.

    ``os`` and ``os_version`` are ID and VERSION_ID of os-release. ``glibc`` is None on musl. ``cpus`` and
    ``memory_bytes`` are what affinity and cgroup allow, not what the hardware has.
    """

    os: Fact[str] = UNKNOWN
    os_version: Fact[str] = UNKNOWN
    kernel: Fact[str] = UNKNOWN
    arch: Known[str] = UNKNOWN
    glibc: Fact[str] = UNKNOWN
    musl: Fact[str] = UNKNOWN
    cpus: Known[int] = UNKNOWN
    memory_bytes: Known[int] = UNKNOWN
    wsl: Known[bool] = UNKNOWN
    container: Fact[str] = UNKNOWN
    jetson: Fact[str] = UNKNOWN


@record
class NvidiaDevice:
    """One NVIDIA GPU or MIG slice; ``compute_capability`` as NVIDIA writes it, ``"9.0"``."""

    index: int
    name: Fact[str] = UNKNOWN
    uuid: Fact[str] = UNKNOWN
    compute_capability: Fact[str] = UNKNOWN
    memory_bytes: Fact[int] = UNKNOWN
    mig: Known[bool] = UNKNOWN
    compute_mode: Fact[str] = UNKNOWN
    pci_id: Fact[str] = UNKNOWN


@record
class Nvidia:
    """The NVIDIA side: kernel driver, CUDA version of the loaded user-mode driver, every device."""

    driver: Fact[str] = UNKNOWN
    cuda: Fact[str] = UNKNOWN
    devices: tuple[NvidiaDevice, ...] = ()


@record
class AmdDevice:
    """One AMD GPU or partition; ``gfx`` as ROCm writes it, ``"gfx942"``."""

    index: int
    name: Fact[str] = UNKNOWN
    gfx: Fact[str] = UNKNOWN
    memory_bytes: Fact[int] = UNKNOWN
    pci_id: Fact[str] = UNKNOWN


@record
class Amd:
    """The AMD side: kernel driver, ROCm user space, every device."""

    driver: Fact[str] = UNKNOWN
    rocm: Fact[str] = UNKNOWN
    devices: tuple[AmdDevice, ...] = ()


@record
class Toolchain:
    """Versions of the compilers and build tools; ``cuda_home`` is a directory, ``paths`` says which tool was asked."""

    nvcc: Fact[str] = UNKNOWN
    cuda_home: Fact[str] = UNKNOWN
    gcc: Fact[str] = UNKNOWN
    gxx: Fact[str] = UNKNOWN
    hipcc: Fact[str] = UNKNOWN
    cmake: Fact[str] = UNKNOWN
    ninja: Fact[str] = UNKNOWN
    paths: Mapping[str, str] = NOTHING


@record
class PythonInterpreter:
    """A CPython that can make environments: full version and full path of the executable.

    ``venv`` says whether its own ``venv`` can put pip into an environment (Debian ships ``ensurepip`` apart), and
    ``headers`` whether extensions can be compiled for it (``Python.h``, which Triton needs at run time).
    """

    version: str
    path: str
    venv: Known[bool] = UNKNOWN
    headers: Known[bool] = UNKNOWN


@record
class Problem:
    """Something that keeps this machine from working or being read, with its stable id."""

    id: str
    message: str


@record
class Machine:
    """Everything known of one host. ``sources`` maps a dotted fact (``nvidia.driver``) to where it was read."""

    host: Host = Host()
    nvidia: Fact[Nvidia] = UNKNOWN
    amd: Fact[Amd] = UNKNOWN
    toolchain: Known[Toolchain] = UNKNOWN
    pythons: Known[tuple[PythonInterpreter, ...]] = UNKNOWN
    sources: Mapping[str, str] = NOTHING
    problems: tuple[Problem, ...] = ()
