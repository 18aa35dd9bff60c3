"""A missing header names what brings it, and the wheel that has it already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.facts import Facts
from verl_env.doctor.gather import gather
from verl_env.doctor.run import evaluate
from verl_env.doctor.tables import origin, table
from verl_env.machine.model import Machine

if TYPE_CHECKING:
    from tests.doctor.conftest import Environment

MISSING = next(check for check in CHECKS if check.id == "header-missing")
LOG = "x.h:7:10: fatal error: {}: No such file or directory"
#: A header of every row, in the order of the rows.
HEADERS = """
cusparse.h cublas_v2.h cusolverDn.h cufft.h curand_kernel.h nvrtc.h nvtx3/nvToolsExt.h nvml.h cuda_profiler_api.h
thrust/sort.h cuda_runtime.h nccl.h nvshmem.h mpi.h infiniband/mlx5dv.h numa.h gdrapi.h pybind11/pybind11.h
cutlass/cutlass.h hip/hip_runtime.h sanitizer/asan_interface.h bits/c++config.h torch/extension.h
"""


def test_every_row_is_reached() -> None:
    assert [origin("headers", header) for header in HEADERS.split()] == table("headers")["origin"]


@pytest.mark.parametrize(
    "header",
    [
        "cublasLt.h",
        "cuda.h",
        "cuda_fp16.h",
        "cub/cub.cuh",
        "rdma/rdma_cma.h",
        "rccl/rccl.h",
        "device/nvshmem_defines.h",
    ],
)
def test_others_of_the_same_packages(header: str) -> None:
    assert origin("headers", header) is not None


@pytest.mark.parametrize("header", ["Python.h", "cudnn.h", "mympi.h", "cusparse.hpp.in", "numa.h.bak", "src/mpi.h"])
def test_headers_of_others(header: str) -> None:
    assert origin("headers", header) is None


def test_the_finding_names_the_header_and_its_package() -> None:
    finding = evaluate(MISSING, Facts(log=LOG.format("cusparse.h"), torch_flavour="12.8"))

    assert finding is not None
    assert finding.title == "cusparse.h is not there"
    assert "libcusparse-dev" in finding.cause
    assert finding.remedy.commands == (
        "module load cuda",
        "conda install -c nvidia libcusparse-dev cuda-version=12.8",
    )


def test_the_first_header_that_is_known_counts() -> None:
    log = f"{LOG.format('own.h')}\n{LOG.format('mpi.h')}"

    finding = evaluate(MISSING, Facts(log=log))

    assert finding is not None
    assert finding.title == "mpi.h is not there"
    assert evaluate(MISSING, Facts(log=LOG.format("own.h"))) is None


def test_a_wheel_of_the_environment_that_has_it(environment: Environment) -> None:
    include = environment.site / "nvidia" / "cusparse" / "include"
    include.mkdir(parents=True)
    (include / "cusparse.h").touch()
    made = gather(environment.prefix, {}, Machine(), host=HostFacts())

    finding = evaluate(MISSING, Facts(target=made.target, log=LOG.format("cusparse.h")))
    other = evaluate(MISSING, Facts(target=made.target, log=LOG.format("cublas_v2.h")))

    assert finding is not None
    assert finding.remedy.commands == (f'export CPATH={include}"${{CPATH:+:$CPATH}}"',)
    assert other is not None
    assert other.remedy.commands[0] == "module load cuda"
