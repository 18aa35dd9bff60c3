"""The wheel tables: what torch and other packages carry and need. Each row keeps the keys of its sources.

Read like ``tables``: a key left out in ``data/`` is ``UNKNOWN`` here.
"""

from __future__ import annotations

from functools import cache

from verl_env.machine.model import UNKNOWN
from verl_env.machine.tables import rows
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.model import Known


@record
class TorchRelease:
    """Pythons and accelerators that a torch release was published for."""

    torch: str
    cuda: tuple[str, ...]
    cuda_experimental: tuple[str, ...]
    src: tuple[str, ...]
    rocm: Known[str] = UNKNOWN
    python_min: Known[str] = UNKNOWN
    python_max: Known[str] = UNKNOWN


@record
class TorchWheel:
    """GPU code in the torch wheels of a CUDA build; ``ptx``: whether the last target is also there as PTX."""

    torch: tuple[str, ...]
    cuda: str
    arch: str
    sm: tuple[str, ...]
    basis: str
    src: tuple[str, ...]
    ptx: Known[bool] = UNKNOWN


@record
class TorchIndexDefault:
    """What a plain install of torch from the default index takes; ``build`` is ``cu124`` or ``cpu``."""

    torch: str
    arch: str
    platform_tag: str
    build: str
    src: tuple[str, ...]
    inferred: bool = False
    nccl: Known[str] = UNKNOWN
    cudnn: Known[str] = UNKNOWN
    triton: Known[str] = UNKNOWN
    cxx11abi: Known[bool] = UNKNOWN


@record
class TorchAbi:
    """``_GLIBCXX_USE_CXX11_ABI`` of torch wheels; ``torch`` is a PEP 440 specifier, no ``builds`` means all."""

    torch: str
    cxx11abi: bool
    src: tuple[str, ...]
    builds: tuple[str, ...] = ()


@record
class Minimum:
    """The lowest compute capability or gfx target of a component; ``versions`` and ``cuda`` are PEP 440 specifiers."""

    component: str
    src: tuple[str, ...]
    versions: Known[str] = UNKNOWN
    cuda: Known[str] = UNKNOWN
    minimum: Known[str] = UNKNOWN
    gfx: Known[str] = UNKNOWN
    note: str = ""


@record
class WheelGlibc:
    """The glibc that wheels of a package need; ``basis`` is measured, tag, documented, reported or pure."""

    package: str
    src: tuple[str, ...]
    versions: Known[str] = UNKNOWN
    arch: tuple[str, ...] = ()
    platform_tag: Known[str] = UNKNOWN
    glibc: Known[str] = UNKNOWN
    basis: Known[str] = UNKNOWN
    note: str = ""


@record
class EngineBuild:
    """A release of an engine that was published for another CUDA beside that of the default index."""

    package: str
    version: str
    cuda: str
    src: tuple[str, ...]


@cache
def engine_builds() -> tuple[EngineBuild, ...]:
    """Builds of engines for another CUDA, as far as they are known."""
    return rows("components", "engine_build", EngineBuild)


@cache
def torch_releases() -> tuple[TorchRelease, ...]:
    """The releases of torch, newest first."""
    return rows("torch", "release", TorchRelease)


@cache
def torch_wheels() -> tuple[TorchWheel, ...]:
    """GPU code in the CUDA builds of torch."""
    return rows("torch", "wheel", TorchWheel)


@cache
def torch_index_defaults() -> tuple[TorchIndexDefault, ...]:
    """What the default index gives for torch."""
    return rows("torch", "index_default", TorchIndexDefault)


@cache
def torch_abis() -> tuple[TorchAbi, ...]:
    """The C++ ABI of torch builds."""
    return rows("torch", "cxx11abi", TorchAbi)


@cache
def minima() -> tuple[Minimum, ...]:
    """The lowest GPU that components run on."""
    return rows("components", "minimum", Minimum)


@cache
def wheel_glibcs() -> tuple[WheelGlibc, ...]:
    """The glibc that wheels need."""
    return rows("components", "glibc", WheelGlibc)
