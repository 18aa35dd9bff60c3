"""Every problem has an id, one sentence of its own, and a way on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from verl_env.machine.nvidia import problems
from verl_env.machine.nvidia.pci import PciGpu
from verl_env.machine.nvidia.reading import GpuReading

if TYPE_CHECKING:
    from verl_env.machine.model import Problem

GPUS = (PciGpu("00000000:10:00.0", "2335", "vfio-pci"), PciGpu("00000000:11:00.0", "2335", None))
CASES = [
    (problems.driver_wedged("NVML", 4.5, killable=True), "driver-wedged", ["4.5 s", "ended"]),
    (problems.driver_wedged("NVML", 4.5, killable=False), "driver-wedged", ["cannot be killed"]),
    (problems.driver_library_mismatch("580.1", "580.2"), "nvidia-driver-library-mismatch", ["580.1", "580.2"]),
    (problems.driver_library_mismatch(None, None), "nvidia-driver-library-mismatch", ["unknown"]),
    (problems.no_devices((), needs_open_module=False), "nvidia-no-devices", ["no device"]),
    (problems.no_devices(GPUS, needs_open_module=True), "nvidia-no-devices", ["2 NVIDIA GPUs", "open kernel modules"]),
    (problems.no_device_node("580.1", GPUS[:1]), "nvidia-no-device-node", ["580.1", "1 NVIDIA GPU ", "/dev/nvidia0"]),
    (problems.no_device_node(None, ()), "nvidia-no-device-node", ["is loaded, but"]),
    (problems.nvml_missing(), "nvidia-nvml-missing", ["libnvidia-ml.so.1"]),
    (problems.nvml_unknown_error(""), "nvidia-nvml-unknown-error", ["no reason"]),
    (problems.nvml_unknown_error("Unknown Error"), "nvidia-nvml-unknown-error", ["Unknown Error"]),
    (problems.nvml_crash(11), "nvidia-nvml-crash", ["signal 11"]),
    (problems.no_permission(), "nvidia-no-permission", ["permissions"]),
    (problems.driver_missing(GPUS), "nvidia-driver-missing", ["2 NVIDIA GPUs", "vfio-pci"]),
    (problems.driver_missing(GPUS[1:]), "nvidia-driver-missing", ["1 NVIDIA GPU "]),
    (problems.fabric_not_ready("state In Progress"), "nvidia-fabric-not-ready", ["In Progress", "802"]),
    (problems.device_lost([GpuReading(index=3, lost="GPU is lost")]), "nvidia-device-lost", ["GPU 3", "GPU is lost"]),
    (problems.device_lost([GpuReading(address="00:1", lost="x")]), "nvidia-device-lost", ["GPU 00:1"]),
    (problems.mixed_gpus({"9.0": [0, 1], "8.0": [2]}), "nvidia-mixed-gpus", ["9.0: 0, 1; 8.0: 2"]),
    (problems.exclusive_process([0, 1]), "nvidia-exclusive-process", ["GPU 0, 1"]),
    (problems.exclusive_process(range(8)), "nvidia-exclusive-process", ["8 GPUs"]),
    (problems.compute_prohibited([0]), "nvidia-compute-prohibited", ["GPU 0"]),
    (problems.mig_empty([0]), "nvidia-mig-empty", ["GPU 0"]),
    (
        problems.cuda_compat("/x/libcuda.so.2", "535.1", "12.5"),
        "nvidia-cuda-compat",
        ["/x/libcuda.so.2", "535.1", "12.5"],
    ),
    (problems.cuda_compat("/x/libcuda.so.2", "535.1", None), "nvidia-cuda-compat", ["535.1"]),
    (problems.visible_devices("0,1"), "nvidia-visible-devices", ["CUDA_VISIBLE_DEVICES=0,1"]),
]


@pytest.mark.parametrize(("problem", "known_id", "words"), CASES)
def test_a_problem_says_what_was_seen(problem: Problem, known_id: str, words: list[str]) -> None:
    assert problem.id == known_id
    assert all(word in problem.message for word in words)
    assert not problem.message.endswith(".")
    assert "  " not in problem.message


def test_every_problem_has_a_remedy_and_every_remedy_a_problem() -> None:
    assert set(problems.REMEDIES) == {known_id for _, known_id, _ in CASES}
    assert all(text and not text.endswith(".") for text in problems.REMEDIES.values())


def test_ids_are_kebab_case() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", known_id) for known_id in problems.REMEDIES)


def test_every_function_is_tried_here() -> None:
    worded = {
        name for name, value in vars(problems).items() if callable(value) and name[0].islower() and name[0] != "_"
    }
    assert len(worded) == len(problems.REMEDIES)
