"""What cannot be played by a stand-in for NVML: libcuda, cuInit."""

from __future__ import annotations

import pytest

from verl_env.machine.model import UNKNOWN, NvidiaDevice
from verl_env.machine.nvidia.diagnose import Evidence, remarks
from verl_env.machine.nvidia.kernel import KernelSide
from verl_env.machine.nvidia.nvml_answer import NvmlAnswer
from verl_env.machine.nvidia.pci import PciSide
from verl_env.machine.nvidia.reading import GpuReading
from verl_env.records import replace

EVIDENCE = Evidence(NvmlAnswer(code=0), None, KernelSide((), True, True, ("/dev/nvidia0",), False), PciSide())
DEVICE = NvidiaDevice(index=0, compute_capability="8.0")


def found(evidence: Evidence, gpu: GpuReading | None = None, driver: str = "535.129.03") -> list[str]:
    return [one.id for one in remarks(evidence, [gpu or GpuReading(index=0)], [DEVICE], driver, {})]


@pytest.mark.parametrize(
    ("path", "foreign"),
    [
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03", False),
        ("/usr/local/cuda-12.5/compat/libcuda.so.555.42.06", True),
        ("/usr/lib/libcuda.so.580.82", True),
        ("/usr/lib/wsl/lib/libcuda.so.1.1", False),
        ("/usr/local/cuda/lib64/stubs/libcuda.so", False),
        (None, False),
    ],
)
def test_a_libcuda_of_another_driver(path: str | None, foreign: bool) -> None:
    evidence = replace(EVIDENCE, nvml=NvmlAnswer(code=0, libcuda=(path, "12.5")))
    assert found(evidence) == (["nvidia-cuda-compat"] if foreign else [])


def test_a_libcuda_is_not_judged_without_a_driver() -> None:
    evidence = replace(EVIDENCE, nvml=NvmlAnswer(code=0, libcuda=("/x/libcuda.so.555.42.06", UNKNOWN)))
    assert [one.id for one in remarks(evidence, [], [], UNKNOWN, {})] == []


@pytest.mark.parametrize(("code", "problems"), [(802, ["nvidia-fabric-not-ready"]), (0, []), (100, []), (None, [])])
def test_cuda_that_does_not_start_for_the_fabric(code: int | None, problems: list[str]) -> None:
    assert found(replace(EVIDENCE, nvml=NvmlAnswer(code=0, cuda_init=code))) == problems


def test_the_word_of_nvml_on_the_fabric_comes_first() -> None:
    evidence = replace(EVIDENCE, nvml=NvmlAnswer(code=0, cuda_init=802))
    (problem,) = remarks(evidence, [GpuReading(index=0, fabric="In Progress")], [DEVICE], "580.65.06", {})
    assert "In Progress" in problem.message
