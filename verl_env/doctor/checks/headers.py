"""Headers that a build from source does not find, and what brings them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verl_env.command_line import quoted
from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a header comes from: what it matches as a whole, what brings it in words, and commands that bring it.

    ``conda`` is the package of NVIDIA's channel that has it, where one has.
    """

    header: str
    what: str
    commands: tuple[str, ...] = ()
    conda: str | None = None


def _cuda(header: str, package: str, conda: str) -> Origin:
    """A header of the CUDA toolkit; ``package`` is its name in apt without the release (``-12-8``)."""
    return Origin(header, f"the CUDA toolkit ({package})", ("module load cuda",), conda)


#: Packages by NVIDIA's CUDA installation guide for Linux and its conda channel, and by Debian and Fedora for the rest.
ORIGINS = (
    _cuda(r"cusparse(?:_v2)?\.h", "libcusparse-dev", "libcusparse-dev"),
    _cuda(r"cublas(?:_v2|Lt|_api|Xt)?\.h", "libcublas-dev", "libcublas-dev"),
    _cuda(r"cusolver(?:Dn|Sp|Mg|_common)?\.h", "libcusolver-dev", "libcusolver-dev"),
    _cuda(r"cufft(?:Xt|w)?\.h", "libcufft-dev", "libcufft-dev"),
    _cuda(r"curand(?:_\w+)?\.h", "libcurand-dev", "libcurand-dev"),
    _cuda(r"nvrtc\.h", "cuda-nvrtc-dev", "cuda-nvrtc-dev"),
    _cuda(r"nvToolsExt\w*\.h|nvtx3/\S+", "cuda-nvtx", "cuda-nvtx"),
    _cuda(r"nvml\.h", "cuda-nvml-dev", "cuda-nvml-dev"),
    _cuda(r"cuda_?[pP]rofiler(?:_api)?\.h", "cuda-profiler-api", "cuda-profiler-api"),
    _cuda(r"(?:thrust|cub|cuda/std)/\S+", "cuda-cccl", "cuda-cccl"),
    _cuda(r"cuda(?:_runtime(?:_api)?|_fp16|_fp8|_bf16)?\.h|driver_types\.h", "cuda-cudart-dev", "cuda-cudart-dev"),
    Origin(r"nccl\.h", "NCCL (libnccl-dev)", ("apt install libnccl-dev",)),
    Origin(r"nvshmemx?\.h|(?:device|host|non_abi)/\S*nvshmem\S*", "NVSHMEM (nvidia-nvshmem)"),
    Origin(r"mpi\.h", "an MPI (libopenmpi-dev, openmpi-devel)", ("module load openmpi", "apt install libopenmpi-dev")),
    Origin(
        r"infiniband/\S+\.h|rdma/rdma_\w+\.h",
        "rdma-core (libibverbs-dev and librdmacm-dev, rdma-core-devel)",
        ("apt install libibverbs-dev librdmacm-dev",),
    ),
    Origin(r"numa\.h", "numactl (libnuma-dev, numactl-devel)", ("apt install libnuma-dev",)),
    Origin(r"gdrapi\.h", "GDRCopy (libgdrapi-dev)"),
    Origin(r"pybind11/\S+", "pybind11, of the environment that builds", ("pip install pybind11",)),
    Origin(r"(?:cutlass|cute)/\S+", "CUTLASS, a submodule", ("git submodule update --init --recursive",)),
    Origin(
        r"(?:hip|hipblas\w*|hipsparse|hipsolver|hipfft|hiprand|hipcub|rocblas|rocprim|rocrand|rocthrust|miopen|rccl)/\S+",
        "the development packages of ROCm (rocm-dev, rocm-libs)",
        ("module load rocm",),
    ),
    Origin(
        r"sanitizer/\S+\.h",
        "the sanitizer headers of the C++ compiler that is used (libasan or libgcc-devel of the same GCC release)",
        ("gcc -print-file-name=include", "dnf install libasan libubsan gcc-c++", "apt install g++"),
    ),
    Origin(
        r"c(?:math|stdint|stddef|string)|vector|memory|optional|filesystem|concepts|bits/\S+|std(?:io|lib|int)\.h|limits\.h",
        "the C and C++ standard libraries of the compiler that is used (g++, libstdc++-devel)",
        ("apt install build-essential", "dnf install gcc-c++ glibc-devel"),
    ),
    Origin(r"(?:torch|ATen|c10)/\S+", "torch, of the environment that builds", ("pip install --no-build-isolation .",)),
)


def origin(header: str) -> Origin | None:
    """Where a header comes from, by its name as it is included; None for one that no row names."""
    return next((row for row in ORIGINS if re.fullmatch(row.header, header)), None)


def _missing(facts: Facts, match: re.Match[str]) -> Hit | None:
    header = match["header"]
    row = origin(header)
    if row is None and "/" not in header:
        return None
    if row is None:
        text = "Find the package that has it and install it; a header of the project's own is in a submodule."
        search = (f"apt-file search {header}", f"dnf provides '*/{header}'")
        return Hit((), f"{header} is not there", remedy=Remedy(text, search))
    cause = f"It is of {row.what}, whose headers are not installed, or not where the compiler looks."
    return Hit((), f"{header} is not there", cause, _remedy(facts, row, header))


def _remedy(facts: Facts, row: Origin, header: str) -> Remedy:
    wheels = facts.target.site.glob(f"nvidia/*/include/{header}") if facts.target else ()
    found = next(iter(sorted(wheels)), None)
    if found is not None:
        include = str(found)[: -len(header) - 1]
        text = "A wheel of the environment has it: name its directory to the compiler."
        return Remedy(text, (f'export CPATH={quoted(include)}"${{CPATH:+:$CPATH}}"',))
    release = f" cuda-version={facts.cuda}" if facts.cuda else ""
    conda = (f"conda install -c nvidia {row.conda}{release}",) if row.conda else ()
    return Remedy(f"Bring {row.what}; the command depends on the system.", (*row.commands, *conda))


CHECKS = (
    Check(
        id="header-missing",
        theme="toolchain",
        severity="error",
        title="A build does not find a header",
        cause=(
            "The headers of a library are not installed, or not where the compiler looks: what is made for running "
            "has the library alone."
        ),
        remedy=Remedy("Bring the development package of the library, or a whole CUDA toolkit.", ("module load cuda",)),
        covers=(),
        sources=(
            "TRELLIS#195",
            "torchsparse#13",
            "TensorRT-LLM#1647",
            "brpc#2990",
            "CUDA installation guide for Linux",
        ),
        log=(
            r"fatal error: '?(?P<header>[\w./+-]+)'?(?:: No such file or directory| file not found)",
            r"cannot open source file \"(?P<header>[\w./+-]+)\"",
        ),
        from_log=_missing,
    ),
)
