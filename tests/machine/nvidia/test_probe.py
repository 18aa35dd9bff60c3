"""The NVIDIA side of whole machines: healthy, broken, withheld, hanging."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from verl_env.machine.model import UNKNOWN, Nvidia

from .scenes import (
    OPEN,
    PROPRIETARY,
    add_pci,
    gpu,
    ids,
    nvml,
    part,
    probe,
    scenario,
    smi,
    smi_printing,
    tree,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from verl_env.machine.nvidia.join import NvidiaReport

HEALTHY: dict[str, Any] = {"driver": "580.65.06", "proc": OPEN, "nodes": 2, "gpus": ["2335", "2335"]}


def side(report: NvidiaReport) -> Nvidia:
    assert report.nvidia is not None
    return report.nvidia


def play(directory: Path, *gpus: dict[str, Any], kernel: dict[str, Any] | None = None, **changes: Any) -> NvidiaReport:
    """The report of a machine whose NVML plays a scenario, on a healthy tree unless one is given."""
    roots = tree(directory / "root", **(HEALTHY if kernel is None else kernel))
    environ = changes.pop("environ", None)
    seconds = changes.pop("seconds", 30.0)
    return probe(roots, nvml(directory, scenario(*gpus, **changes)), environ=environ, seconds=seconds)


def test_a_machine_without_anything_of_nvidia(tmp_path: Path) -> None:
    report = probe(tree(tmp_path))
    assert (report.nvidia, report.problems) == (None, ())
    assert "nvml" in report.sources["nvidia"]


def test_a_machine_of_another_vendor(tmp_path: Path) -> None:
    roots = tree(tmp_path)
    add_pci(tmp_path, "0000:02:00.0", "74a1", kind="0x120000", vendor="0x1002")
    assert probe(roots).nvidia is None


def test_a_driver_library_without_a_gpu_is_no_gpu(tmp_path: Path) -> None:
    """A login node with the driver's packages installed."""
    smi(
        tmp_path / "root",
        'echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9',
    )
    report = play(tmp_path, kernel={}, init={"error": 9})
    assert (report.nvidia, report.problems) == (None, ())


def test_a_healthy_machine(tmp_path: Path) -> None:
    report = play(tmp_path, gpu(0), gpu(1))
    assert report.problems == ()
    nvidia = side(report)
    assert (nvidia.driver, nvidia.cuda) == ("580.65.06", "13.0")
    assert [(device.index, device.compute_capability, device.mig, device.pci_id) for device in nvidia.devices] == [
        (0, "9.0", False, "2335"),
        (1, "9.0", False, "2335"),
    ]
    facts = ("compute_capability", "compute_mode", "memory_bytes", "name", "uuid")
    assert report.sources == {
        "nvidia.driver": "nvml",
        "nvidia.cuda": "nvml",
        "nvidia.devices": "nvml",
        **{f"nvidia.devices.{fact}": "nvml" for fact in facts},
    }


def test_nvidia_smi_is_not_run_where_nvml_says_everything(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    smi(tmp_path / "root", f"touch {trace}")
    play(tmp_path, gpu(0), gpu(1, memory={"error": 3}), {"error": 15})
    assert not trace.exists()


def test_slices_stand_for_their_gpu(tmp_path: Path) -> None:
    report = play(tmp_path, gpu(0, mig=1, slices=[part(3, 71), part(1, 18)]), gpu(1))
    assert [
        (device.index, device.mig, device.memory_bytes, device.compute_capability) for device in side(report).devices
    ] == [
        (0, True, 71 << 30, "9.0"),
        (0, True, 18 << 30, "9.0"),
        (1, False, 143771 << 20, "9.0"),
    ]
    assert report.problems == ()


def test_a_sliced_gpu_without_slices(tmp_path: Path) -> None:
    report = play(tmp_path, gpu(0, mig=1), gpu(1))
    assert ids(report) == ["nvidia-mig-empty"]
    assert len(side(report).devices) == 2


def test_a_lost_gpu_is_named_and_left_out(tmp_path: Path) -> None:
    report = play(tmp_path, gpu(0), {"error": 15}, gpu(2))
    assert [device.index for device in side(report).devices] == [0, 2]
    assert ids(report) == ["nvidia-device-lost"]
    assert "GPU 1" in report.problems[0].message


def test_gpus_of_several_kinds(tmp_path: Path) -> None:
    report = play(tmp_path, gpu(0), gpu(1, cc=[8, 0], name="NVIDIA A100-SXM4-80GB"))
    assert ids(report) == ["nvidia-mixed-gpus"]
    assert "9.0: 0; 8.0: 1" in report.problems[0].message


@pytest.mark.parametrize(("mode", "problem"), [(3, "nvidia-exclusive-process"), (2, "nvidia-compute-prohibited")])
def test_compute_modes_that_verl_cannot_use(tmp_path: Path, mode: int, problem: str) -> None:
    assert ids(play(tmp_path, gpu(0, mode=mode))) == [problem]


@pytest.mark.parametrize(
    ("fabric", "found"),
    [([3, 0], []), ([0, 0], []), ([2, 0], ["nvidia-fabric-not-ready"]), ([1, 0], ["nvidia-fabric-not-ready"])],
)
def test_the_fabric(tmp_path: Path, fabric: list[int], found: list[str]) -> None:
    assert ids(play(tmp_path, gpu(0, fabric=fabric))) == found


@pytest.mark.parametrize(
    ("value", "hides"),
    [
        ("0", True),
        ("", True),
        ("-1", True),
        ("NoDevFiles", True),
        ("0,1", False),
        ("1,0", False),
        (" 0 , 1 ", False),
        ("0,7,1", True),
        ("0,0", True),
        ("GPU-00000000", True),
        ("GPU-00000000,GPU-00000001", False),
    ],
)
def test_devices_hidden_by_a_variable_are_listed_and_stated(tmp_path: Path, value: str, hides: bool) -> None:
    report = play(tmp_path, gpu(0), gpu(1), environ={"CUDA_VISIBLE_DEVICES": value})
    assert len(side(report).devices) == 2
    assert ids(report) == (["nvidia-visible-devices"] if hides else [])


def test_the_variable_does_not_reach_the_children(tmp_path: Path) -> None:
    trace = tmp_path / "environment"
    smi(tmp_path / "root", f"env > {trace}")
    play(tmp_path, init={"error": 999}, environ={"CUDA_VISIBLE_DEVICES": "0", "KEPT": "yes"})
    text = trace.read_text()
    assert "KEPT=yes" in text
    assert "CUDA_VISIBLE_DEVICES" not in text


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str, str, int]] = {
    # what: kernel's files, NVML, problem, words, devices
    "mismatch": (HEALTHY, {"init": {"error": 18}}, "nvidia-driver-library-mismatch", "580.65.06", 2),
    "no devices": (HEALTHY, {}, "nvidia-no-devices", "2 NVIDIA GPUs on the PCI bus", 0),
    "a new GPU on the old module": (
        {**HEALTHY, "proc": PROPRIETARY, "gpus": ["2901"]},
        {},
        "nvidia-no-devices",
        "open kernel modules",
        0,
    ),
    "no node": ({**HEALTHY, "nodes": 0}, {"init": {"error": 9}}, "nvidia-no-device-node", "580.65.06", 0),
    "no node, no library": ({**HEALTHY, "nodes": 0}, {"init": {"error": 12}}, "nvidia-no-device-node", "", 0),
    "no library": (HEALTHY, {"init": {"error": 12}}, "nvidia-nvml-missing", "libnvidia-ml", 2),
    "unknown error": (HEALTHY, {"init": {"error": 999}}, "nvidia-nvml-unknown-error", "Unknown Error", 2),
    "not loaded, says NVML": (HEALTHY, {"init": {"error": 9}}, "nvidia-nvml-unknown-error", "Not Loaded", 2),
    "no permission": (HEALTHY, {"init": {"error": 4}}, "nvidia-no-permission", "permissions", 2),
    "no driver": ({"gpus": ["2335"]}, {"init": {"error": 9}}, "nvidia-driver-missing", "1 NVIDIA GPU", 1),
    "passed to a VM": (
        {"gpus": ["2335"], "bound": "vfio-pci"},
        {"init": {"error": 12}},
        "nvidia-driver-missing",
        "vfio-pci",
        1,
    ),
    "WSL without access": ({"wsl": True}, {"init": {"error": 17}}, "nvidia-nvml-unknown-error", "error 17", 0),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_machines(tmp_path: Path, what: str) -> None:
    kernel, changes, problem, words, count = BROKEN[what]
    report = play(tmp_path, kernel=kernel, **changes)
    assert ids(report) == [problem]
    assert words in report.problems[0].message
    assert len(side(report).devices) == count
    if count:
        assert report.sources["nvidia.devices"] == "pci"
        assert all(device.compute_capability == "9.0" for device in side(report).devices)


def test_facts_of_a_machine_without_a_driver(tmp_path: Path) -> None:
    nvidia = side(play(tmp_path, kernel={"gpus": ["2335"]}, init={"error": 12}))
    assert (nvidia.driver, nvidia.cuda) == (None, UNKNOWN)
    assert nvidia.devices[0].name == "NVIDIA H200"


def test_facts_of_a_machine_that_nvml_does_not_tell(tmp_path: Path) -> None:
    report = play(tmp_path, init={"error": 999})
    assert side(report).driver == "580.65.06"
    assert report.sources["nvidia.driver"] == "/sys/module/nvidia/version"


def test_wsl_without_an_nvidia_gpu(tmp_path: Path) -> None:
    assert play(tmp_path, kernel={"wsl": True}, init={"error": 12}).nvidia is None


def test_wsl_with_a_gpu(tmp_path: Path) -> None:
    report = play(tmp_path, gpu(0), kernel={"wsl": True}, driver="572.60")
    assert (side(report).driver, len(side(report).devices), report.problems) == ("572.60", 1, ())


def test_without_nvml_nvidia_smi_tells(tmp_path: Path) -> None:
    roots = tree(tmp_path, **{**HEALTHY, "driver": ""})
    smi_printing(tmp_path, xml="smi-v12-mig.xml", csv="query.csv", listed="list-mig.txt")
    report = probe(roots)
    nvidia = side(report)
    assert (nvidia.driver, nvidia.cuda) == ("550.127.05", "12.4")
    assert [device.mig for device in nvidia.devices] == [True, True, False]
    assert report.sources["nvidia.devices"] == "nvidia-smi --query-gpu"
    assert report.sources["nvidia.cuda"] == "nvidia-smi -q -x"
    assert ids(report) == ["nvidia-fabric-not-ready", "nvidia-exclusive-process"]


def test_an_old_nvidia_smi_without_compute_capability(tmp_path: Path) -> None:
    roots = tree(tmp_path, driver="470.199.02", nodes=1)
    smi_printing(tmp_path, xml="smi-v11.xml", code=2)
    report = probe(roots)
    assert side(report).devices[0].compute_capability == "7.5"
    assert report.sources["nvidia.devices.compute_capability"] == "table of PCI ids"


def test_without_nvml_and_nvidia_smi(tmp_path: Path) -> None:
    report = probe(tree(tmp_path, **HEALTHY))
    assert ids(report) == ["nvidia-nvml-missing"]
    assert len(side(report).devices) == 2


SAID = [
    (
        "Failed to initialize NVML: Driver/library version mismatch\\nNVML library version: 580.126",
        "nvidia-driver-library-mismatch",
    ),
    ("No devices were found", "nvidia-no-devices"),
    ("Failed to initialize NVML: Unknown Error", "nvidia-nvml-unknown-error"),
    ("Failed to initialize NVML: Insufficient Permissions", "nvidia-no-permission"),
    ("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", "nvidia-nvml-missing"),
    ("Segmentation fault", "nvidia-nvml-missing"),
]


@pytest.mark.parametrize(("text", "problem"), SAID)
def test_what_nvidia_smi_complains_of(tmp_path: Path, text: str, problem: str) -> None:
    roots = tree(tmp_path, **HEALTHY)
    smi(tmp_path, f'printf "{text}\\n"; exit 255')
    assert ids(probe(roots)) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", "nvidia-driver-library-mismatch"),
        ("No devices were found", "nvidia-no-devices"),
        ("Failed to initialize NVML: Unknown Error", "nvidia-nvml-unknown-error"),
        ("Failed to initialize NVML: Insufficient Permissions", "nvidia-no-permission"),
    ],
)
def test_complaints_that_need_a_driver_count_where_the_kernel_shows_none(
    tmp_path: Path, text: str, problem: str
) -> None:
    """As in a sandbox that hides /sys."""
    smi(tmp_path, f'echo "{text}"; exit 255')
    report = probe(tree(tmp_path))
    assert ids(report) == [problem]
    assert side(report) == Nvidia()


def test_a_gpu_that_only_an_error_names(tmp_path: Path) -> None:
    roots = tree(tmp_path, **HEALTHY)
    smi(tmp_path, 'echo "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost."; exit 15')
    report = probe(roots)
    assert "nvidia-device-lost" in ids(report)
    assert "00000000:3b:00.0" in next(one.message for one in report.problems if one.id == "nvidia-device-lost")


def test_nvml_that_crashes_leaves_the_others_to_tell(tmp_path: Path) -> None:
    root = tmp_path / "root"
    smi_printing(root, csv="query.csv")
    report = play(tmp_path, init={"do": "crash"})
    assert ids(report)[0] == "nvidia-nvml-crash"
    assert len(side(report).devices) == 2


def test_nvml_that_hangs(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    smi(tmp_path / "root", f"touch {trace}")
    report = play(tmp_path, init={"do": "hang"}, seconds=1.0)
    assert ids(report) == ["driver-wedged"]
    assert side(report).driver == "580.65.06"
    assert [device.compute_capability for device in side(report).devices] == ["9.0", "9.0"]
    assert not trace.exists()


def test_nvml_that_hangs_late_keeps_what_it_had_said(tmp_path: Path) -> None:
    report = play(tmp_path, gpu(0), {"do": "hang"}, seconds=3.0)
    assert ids(report) == ["driver-wedged"]
    assert side(report).cuda == "13.0"
    assert [device.uuid for device in side(report).devices] == ["GPU-00000000-1111-2222-3333-444444444444"]


@pytest.mark.parametrize("body", ["exec sleep 300", "trap '' TERM HUP INT\nwhile :; do sleep 1; done", "yes | cat"])
def test_nvidia_smi_that_hangs(tmp_path: Path, body: str) -> None:
    roots = tree(tmp_path, **HEALTHY)
    smi(tmp_path, body)
    report = probe(roots, seconds=1.0)
    assert ids(report) == ["driver-wedged"]
    assert "nvidia-smi" in report.problems[0].message
    assert len(side(report).devices) == 2


def test_nvidia_smi_that_hangs_on_a_machine_without_anything_else(tmp_path: Path) -> None:
    smi(tmp_path, "exec sleep 300")
    report = probe(tree(tmp_path), seconds=1.0)
    assert ids(report) == ["driver-wedged"]
    assert side(report) == Nvidia()


@pytest.fixture
def unkillable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real, pids = os.killpg, list[int]()
    monkeypatch.setattr("verl_env.machine.process.os.killpg", lambda pid, _: pids.append(pid))
    yield
    for pid in pids:
        real(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    monkeypatch.setattr("verl_env.machine.process.abandoned", set())


@pytest.mark.usefixtures("unkillable")
def test_a_child_in_uninterruptible_sleep_is_abandoned(tmp_path: Path) -> None:
    report = play(tmp_path, gpu(0), {"do": "hang"}, seconds=3.0)
    assert ids(report) == ["driver-wedged"]
    assert "cannot be killed" in report.problems[0].message
    assert side(report).driver == "580.65.06"
    assert len(side(report).devices) == 1


def test_garbage_from_nvidia_smi(tmp_path: Path) -> None:
    roots = tree(tmp_path, **HEALTHY)
    smi(tmp_path, "head -c 200000 /dev/urandom")
    report = probe(roots)
    assert ids(report) == ["nvidia-nvml-missing"]
    assert len(side(report).devices) == 2


@pytest.mark.parametrize(
    ("switches", "fabric", "found"),
    [
        (6, None, ["nvidia-fabric-not-ready"]),
        (6, [0, 0], ["nvidia-fabric-not-ready"]),
        (6, [3, 0], []),
        (0, None, []),
    ],
)
def test_cuda_is_started_where_nvml_is_silent_on_the_fabric(
    tmp_path: Path, switches: int, fabric: list[int] | None, found: list[str]
) -> None:
    """As on A100 boards; cuInit says 802 in every case, and is asked only where it is needed."""
    kernel = {**HEALTHY, "switches": switches}
    assert ids(play(tmp_path, gpu(0, fabric=fabric), kernel=kernel, libcuda=13000, cu_init=802)) == found
