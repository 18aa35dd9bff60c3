"""The hardware tables: GPUs, drivers, ROCm, distributions. Each row keeps the keys of its sources.

The rows are written as TOML in ``data/`` and read from the JSON beside it, which ``verl-env lock`` makes
(``compile_tables``): reading it takes a twentieth of the time. A key left out there is ``UNKNOWN`` here. A file is
read when one of its tables is asked for, and once.
"""

from __future__ import annotations

import json
import os
from functools import cache

from verl_env.machine.model import UNKNOWN
from verl_env.records import record
from verl_env.versions import at_least, dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    from verl_env.machine.model import Known

    Row = TypeVar("Row")

#: The folder of the tables.
DATA = f"{os.path.dirname(__file__)}/data"  # noqa: PTH120  (pathlib is slow to load)


@record
class GpuName:
    """A GPU as ``--gpu`` names it; an NVIDIA GPU has a ``compute_capability``, an AMD GPU a ``gfx``.

    ``memory_mib`` is what such a card was seen to report. ``arch`` is set for a GPU that is sold with one CPU
    architecture only.
    """

    name: str
    product: str
    src: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    compute_capability: str | None = None
    gfx: str | None = None
    memory_mib: Known[int] = UNKNOWN
    arch: str | None = None


@record
class NvidiaPciId:
    """An NVIDIA GPU by its PCI device id; several products may share one. ``basis``: how the capability is known."""

    id: str
    names: tuple[str, ...]
    compute_capability: str
    basis: str
    src: tuple[str, ...]


@record
class Toolkit:
    """A CUDA release and the Linux driver that it asks for itself."""

    cuda: str
    src: tuple[str, ...]
    driver: Known[str] = UNKNOWN


@record
class MinorVersionDriver:
    """The Linux driver from which every release of a CUDA major runs (minor-version compatibility)."""

    cuda_major: int
    driver: str
    src: tuple[str, ...]


@record
class DriverBranch:
    """How long NVIDIA supports a driver branch, and the newest CUDA major that it runs."""

    branch: int
    kind: str
    end_of_life: str
    cuda_major: int
    src: tuple[str, ...]


@record
class DriverReport:
    """The CUDA version that a driver's own libcuda was seen to report."""

    driver: str
    cuda: str
    seen_on: str
    src: tuple[str, ...]


@record
class Capability:
    """The CUDA release and the Linux driver branch that first knew a compute capability.

    ``own_code``: only code that was made for it is known to run there; that of an earlier minor is not counted on.
    """

    compute_capability: str
    architecture: str
    cuda: str
    driver: str
    src: tuple[str, ...]
    own_code: bool = False


@record
class Gfx:
    """An AMD target: products, standing in ROCm, and ``gfx_target_version`` of KFD."""

    gfx: str
    products: tuple[str, ...]
    status: str
    kfd: int
    kfd_basis: str
    src: tuple[str, ...]
    rocm_min: str | None = None


@record
class AmdPciId:
    """An AMD GPU by its PCI device id."""

    id: str
    name: str
    gfx: str
    src: tuple[str, ...]


@record
class RocmRelease:
    """A release of ROCm, its day, and the stream that it is of (``classic`` or ``TheRock``)."""

    rocm: str
    date: str
    stream: str
    src: tuple[str, ...]


@record
class KernelDriver:
    """A series of the amdgpu driver: what its module states as its version, and the releases of ROCm it is for."""

    series: str
    rocm: tuple[str, ...]
    src: tuple[str, ...]
    module: Known[str] = UNKNOWN


@record
class TorchRocmIndex:
    """The targets of the torch wheels for one ROCm release."""

    rocm: str
    gfx: tuple[str, ...]
    src: tuple[str, ...]


@record
class DistroGlibc:
    """The glibc of a distribution, by ID and VERSION_ID of os-release."""

    os: str
    version: str
    glibc: str
    basis: str
    src: tuple[str, ...]


@cache
def read_table_file(name: str) -> Mapping[str, Any]:
    """The tables of one file of ``data/``, by its name without a suffix; each is a list of rows."""
    return {table: rows for table, rows in _read(name).items() if table != "sources"}


@cache
def _read(name: str) -> Mapping[str, Any]:
    with open(f"{DATA}/{name}.json", "rb") as file:  # noqa: PTH123  (as above)
        found: Mapping[str, Any] = json.load(file)
    return found


def rows(name: str, table: str, row: type[Row]) -> tuple[Row, ...]:
    """The rows of one table as objects; arrays become tuples."""
    found = (
        {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
        for entry in read_table_file(name)[table]
    )
    return tuple(row(**entry) for entry in found)


def source_of(name: str, key: str) -> str:
    """What a key of a row's sources stands for, with its day where it has one, in the file of that name."""
    return str(_read(name)["sources"][key])


@cache
def gpu_names() -> tuple[GpuName, ...]:
    """Every GPU that ``--gpu`` knows by name, NVIDIA first."""
    return rows("gpus", "nvidia", GpuName) + rows("gpus", "amd", GpuName)


@cache
def nvidia_pci_ids() -> Mapping[str, NvidiaPciId]:
    """NVIDIA GPUs by PCI device id, four lower-case hexadecimal digits."""
    return {row.id: row for row in rows("nvidia-pci", "gpu", NvidiaPciId)}


@cache
def toolkits() -> tuple[Toolkit, ...]:
    """CUDA releases, newest GA first."""
    return rows("nvidia-drivers", "toolkit", Toolkit)


@cache
def minor_version_drivers() -> Mapping[int, MinorVersionDriver]:
    """The minor-version compatibility of each CUDA major."""
    return {row.cuda_major: row for row in rows("nvidia-drivers", "minor_version", MinorVersionDriver)}


def cuda_of_driver(driver: str) -> Known[str]:
    """The CUDA version, ``"12.4"``, of the libcuda that comes with a Linux driver.

    Only a row of the same driver branch that is not newer counts: the toolkit released for a driver has the version
    that this driver reports (tables ``toolkit`` and ``report``), and nothing is concluded from one branch to the next.
    A bare branch number, ``"550"``, stands for every driver of its branch.

    Raises:
        ValueError: the driver is not a dotted number.
    """
    branch = dotted(driver)[0]
    released = [(row.driver, row.cuda) for row in toolkits() if row.driver is not UNKNOWN]
    observed = [(row.driver, row.cuda) for row in driver_reports()]
    versions = [
        dotted(cuda)[:2]
        for since, cuda in released + observed
        if dotted(since)[0] == branch and (at_least(driver, since) or "." not in driver)
    ]
    return ".".join(map(str, max(versions))) if versions else UNKNOWN


@cache
def driver_branches() -> tuple[DriverBranch, ...]:
    """Driver branches whose support is known."""
    return rows("nvidia-drivers", "branch", DriverBranch)


@cache
def driver_reports() -> tuple[DriverReport, ...]:
    """What drivers were seen to report as their CUDA version."""
    return rows("nvidia-drivers", "report", DriverReport)


@cache
def capabilities() -> Mapping[str, Capability]:
    """Compute capabilities, as far as it is known since when they are."""
    return {row.compute_capability: row for row in rows("nvidia-drivers", "capability", Capability)}


@cache
def amd_gfx() -> Mapping[str, Gfx]:
    """AMD targets by name."""
    return {row.gfx: row for row in rows("amd", "gfx", Gfx)}


@cache
def amd_pci_ids() -> Mapping[str, AmdPciId]:
    """AMD GPUs by PCI device id, four lower-case hexadecimal digits."""
    return {row.id: row for row in rows("amd", "pci", AmdPciId)}


@cache
def rocm_releases() -> tuple[RocmRelease, ...]:
    """Releases of ROCm, newest first."""
    return rows("amd", "rocm", RocmRelease)


@cache
def kernel_drivers() -> tuple[KernelDriver, ...]:
    """Series of the amdgpu driver, newest first."""
    return rows("amd", "kernel_driver", KernelDriver)


@cache
def torch_rocm_indices() -> tuple[TorchRocmIndex, ...]:
    """The ROCm indices of torch wheels, newest first."""
    return rows("amd", "torch_index", TorchRocmIndex)


@cache
def distro_glibcs() -> tuple[DistroGlibc, ...]:
    """The glibc of distributions."""
    return rows("distros", "distro", DistroGlibc)


def glibc_of_distro(os: str, version: str) -> Known[str]:
    """The glibc of a distribution release, by ID and VERSION_ID; ``"8.9"`` is found as ``"8"`` too."""
    known = {(row.os, row.version): row.glibc for row in distro_glibcs()}
    return known.get((os, version), known.get((os, version.partition(".")[0]), UNKNOWN))
