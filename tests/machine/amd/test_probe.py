"""Whole AMD hosts: what is a device, what is a problem, and where each value comes from."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.machine.trees import CAPTURES, fixture, plant, program
from verl_env.machine.amd.probe import probe_amd
from verl_env.machine.model import UNKNOWN, Amd, AmdDevice, Machine
from verl_env.machine.record import machine_from_json, machine_to_json
from verl_env.machine.roots import Roots

from .kfd_trees import GIB, NODES, FakeGpu, FakeHost, igpu, mi300x, pci
from .test_kfd import withhold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TWO = FakeHost((mi300x(0), mi300x(1)))
DESKTOP = FakeHost((igpu(),))


def probe(root: Path, files: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Machine:
    return probe_amd(plant(root, files), environ or {}, deadline=time.monotonic() + 30)


def side(machine: Machine) -> Amd:
    assert isinstance(machine.amd, Amd)
    return machine.amd


def ids(machine: Machine) -> list[str]:
    return [problem.id for problem in machine.problems]


def test_a_healthy_host_needs_no_tool(tmp_path: Path) -> None:
    for tool in ("amd-smi", "rocm-smi", "rocminfo"):
        program(tmp_path, f"/usr/bin/{tool}", script='echo ran > "$0.ran"')
    machine = probe(tmp_path, TWO.files, {"PATH": "/usr/bin"})
    assert machine.amd == Amd(
        driver="6.12.12",
        rocm="6.4.1",
        devices=tuple(
            AmdDevice(index=index, name="AMD Instinct MI300X", gfx="gfx942", memory_bytes=192 * GIB, pci_id="74a1")
            for index in (0, 1)
        ),
    )
    assert machine.sources == {
        "amd.driver": "/sys/module/amdgpu/version",
        "amd.rocm": "/opt/rocm/.info/version",
        "amd.devices": NODES,
        "amd.devices.gfx": NODES,
        "amd.devices.name": "PCI id table",
        "amd.devices.memory_bytes": NODES,
    }
    assert machine.problems == ()
    assert not list((tmp_path / "usr/bin").glob("*.ran"))


def test_nothing_of_amd_is_none(tmp_path: Path) -> None:
    machine = probe(tmp_path, pci("0000:01:00.0", 0x2330, 0x03, vendor=0x10DE))
    assert machine.amd is None
    assert machine.problems == ()
    assert "amd" in machine.sources


def test_cpu_graphics_without_a_driver_are_nothing(tmp_path: Path) -> None:
    assert probe(tmp_path, pci("0000:c5:00.0", 0x164E, 0x03)).amd is None


def test_a_login_node_with_rocm_has_no_device(tmp_path: Path) -> None:
    machine = probe(tmp_path, {"/opt/rocm/.info/version": "6.2.0-66"})
    assert machine.amd == Amd(driver=None, rocm="6.2.0", devices=())
    assert machine.problems == ()


def test_the_driver_of_the_kernel_has_no_version(tmp_path: Path) -> None:
    machine = probe(tmp_path, replace(TWO, module_version=None).files)
    assert side(machine).driver == "in-tree"
    assert machine.sources["amd.driver"] == "/sys/module/amdgpu"


def test_no_user_space_is_said(tmp_path: Path) -> None:
    machine = probe(tmp_path, replace(TWO, rocm=None).files)
    assert side(machine).rocm is None
    assert len(side(machine).devices) == 2
    assert ids(machine) == ["amd-rocm-missing"]


def test_cpu_graphics_beside_instinct_are_left_out_and_named(tmp_path: Path) -> None:
    host = FakeHost((igpu(128), mi300x(0), mi300x(1)))
    program(tmp_path, "/opt/rocm/bin/rocminfo", fixture("amd/rocminfo.txt"))
    machine = probe(tmp_path, host.files)
    assert [(device.index, device.gfx) for device in side(machine).devices] == [(1, "gfx942"), (2, "gfx942")]
    (problem,) = machine.problems
    assert problem.id == "amd-integrated-gpu"
    assert problem.message.startswith("AMD Radeon Graphics (gfx1036) at 0000:c5:00.0")


def test_cpu_graphics_alone_are_listed(tmp_path: Path) -> None:
    machine = probe(tmp_path, FakeHost((igpu(),)).files)
    assert [(device.gfx, device.name) for device in side(machine).devices] == [("gfx1036", UNKNOWN)]
    assert machine.problems == ()


@pytest.mark.parametrize(
    "host", [replace(DESKTOP, rocm=None), replace(DESKTOP, kfd=False), replace(DESKTOP, devices=False)]
)
def test_what_is_wrong_with_cpu_graphics_alone_is_not_said(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "/dev/" not in str(path) and real(path, mode))
    machine = probe(tmp_path, host.files, {"CUDA_VISIBLE_DEVICES": "0", "HSA_OVERRIDE_GFX_VERSION": "10.3.0"})
    assert machine.problems == ()


def test_unlike_gpus_are_said(tmp_path: Path) -> None:
    radeon = FakeGpu(110000, 0x744C, "0000:45:00.0", 135)
    machine = probe(tmp_path, FakeHost((mi300x(), radeon)).files)
    assert [device.gfx for device in side(machine).devices] == ["gfx942", "gfx1100"]
    (problem,) = machine.problems
    assert (problem.id, "gfx942: 0; gfx1100: 1" in problem.message) == ("amd-mixed-gpus", True)


def test_partitions_are_devices(tmp_path: Path) -> None:
    parts = tuple(
        FakeGpu(90402, 0x74A1, "0000:05:00.0", 128 + part, ((1, 24 * GIB),), function=part) for part in range(8)
    )
    machine = probe(tmp_path, FakeHost(parts).files)
    assert [(device.index, device.memory_bytes) for device in side(machine).devices] == [
        (index, 24 * GIB) for index in range(8)
    ]
    assert machine.problems == ()


def test_a_container_has_the_gpus_whose_device_nodes_it_has(tmp_path: Path) -> None:
    files = TWO.files
    del files["/dev/dri/renderD128"]
    machine = probe(tmp_path, files)
    assert [device.index for device in side(machine).devices] == [0]
    (problem,) = machine.problems
    assert problem.id == "amd-no-device-node"
    assert "0000:05:00.0" in problem.message
    assert "/dev/dri/renderD128 is not there" in problem.message


@pytest.mark.parametrize("host", [replace(TWO, kfd=False), replace(TWO, devices=False)])
def test_a_container_without_device_nodes_has_no_device(host: FakeHost, tmp_path: Path) -> None:
    machine = probe(tmp_path, host.files)
    assert side(machine).devices == ()
    assert side(machine).driver == "6.12.12"
    assert ids(machine) == ["amd-no-device-node"]


def test_withheld_nodes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = plant(tmp_path, FakeHost((mi300x(0), mi300x(1), mi300x(2))).files)
    withhold(monkeypatch, tmp_path, 2)
    withhold(monkeypatch, tmp_path, 4)
    machine = probe_amd(roots, {})
    assert [device.index for device in side(machine).devices] == [0]
    assert [(p.id, p.message.split(" of ")[0]) for p in machine.problems] == [("amd-node-hidden", "2 GPUs")]


def test_all_nodes_withheld(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = plant(tmp_path, FakeHost((mi300x(),)).files)
    withhold(monkeypatch, tmp_path, 2)
    machine = probe_amd(roots, {})
    assert side(machine).devices == ()
    assert [problem.message.split(" of ")[0] for problem in machine.problems] == ["1 GPU"]


def test_a_lost_gpu_is_said(tmp_path: Path) -> None:
    machine = probe(tmp_path, TWO.files | pci("0000:95:00.0", 0x74A1, 0x12))
    assert len(side(machine).devices) == 2
    assert [(p.id, "0000:95:00.0" in p.message) for p in machine.problems] == [("amd-device-lost", True)]


def test_device_nodes_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "kfd" not in str(path) and real(path, mode))
    machine = probe(tmp_path, TWO.files)
    assert len(side(machine).devices) == 2
    (problem,) = machine.problems
    assert problem.id == "amd-kfd-no-permission"
    assert problem.message.startswith("this user may not open /dev/kfd: add this user to the groups render and video")


def test_gpus_without_a_driver(tmp_path: Path) -> None:
    machine = probe(tmp_path, pci("0000:05:00.0", 0x74A1, 0x12) | pci("0000:15:00.0", 0x74A1, 0x12))
    assert side(machine).driver is None
    assert [(d.gfx, d.memory_bytes) for d in side(machine).devices] == [("gfx942", UNKNOWN)] * 2
    assert machine.sources["amd.devices"] == "/sys/bus/pci/devices"
    assert ids(machine) == ["amd-driver-missing", "amd-rocm-missing"]


def test_a_driver_without_its_compute_part(tmp_path: Path) -> None:
    machine = probe(tmp_path, pci("0000:05:00.0", 0x740F, 0x03) | {"/sys/module/amdgpu/": ""})
    assert [device.gfx for device in side(machine).devices] == ["gfx90a"]
    assert ids(machine) == ["amd-kfd-missing", "amd-rocm-missing"]


def test_a_tool_answers_where_the_compute_part_cannot_be_seen(tmp_path: Path) -> None:
    program(tmp_path, "/opt/rocm/bin/amd-smi", fixture("amd/amd-smi-list.json"))
    files = pci("0000:0a:00.0", 0x74A1, 0x12) | {"/sys/module/amdgpu/": "", "/opt/rocm/.info/version": "6.1.0-1"}
    machine = probe(tmp_path, files)
    assert [(d.gfx, d.memory_bytes) for d in side(machine).devices] == [("gfx942", 196592 << 20), ("gfx942", UNKNOWN)]
    assert machine.sources["amd.devices"] == "amd-smi"
    assert machine.sources["amd.devices.gfx"] == "PCI id table"
    assert machine.problems == ()


def test_wsl_has_the_gpus_of_rocminfo(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/rocminfo", "  Name:    gfx1100\n  Marketing Name:  Radeon X\n  Node:   1\n")
    machine = probe(tmp_path, {"/dev/dxg": "", "/opt/rocm/.info/version": "6.4.2"}, {"PATH": "/usr/bin"})
    assert [(d.gfx, d.name) for d in side(machine).devices] == [("gfx1100", "Radeon X")]
    assert side(machine).driver is None


def test_wsl_without_amd_is_none(tmp_path: Path) -> None:
    assert probe(tmp_path, {"/dev/dxg": ""}).amd is None


def test_an_old_kernel_leaves_the_target_to_the_tools(tmp_path: Path) -> None:
    old = FakeGpu(None, 0x6860, "0000:19:00.0", 128)
    bare = probe(tmp_path, FakeHost((old,)).files)
    assert [device.gfx for device in side(bare).devices] == [UNKNOWN]
    assert ids(bare) == ["amd-gfx-unknown"]
    program(tmp_path, "/opt/rocm/bin/rocminfo", "  Name:    gfx900\n  Marketing Name:  Vega\n  Node:   2\n")
    asked = probe(tmp_path, FakeHost((old,)).files)
    assert [(d.gfx, d.name) for d in side(asked).devices] == [("gfx900", "Vega")]
    assert asked.sources["amd.devices.gfx"] == "rocminfo"
    assert asked.problems == ()


def test_a_hanging_tool_costs_the_name_only(tmp_path: Path) -> None:
    program(tmp_path, "/opt/rocm/bin/amd-smi", script="exec sleep 60")
    new = FakeGpu(90500, 0x75FF, "0000:75:00.0", 128)  # of no table
    machine = probe_amd(plant(tmp_path, FakeHost((new,)).files), {}, deadline=time.monotonic() + 0.2)
    assert [(d.gfx, d.name) for d in side(machine).devices] == [("gfx950", UNKNOWN)]
    assert ids(machine) == ["amd-tool-timeout"]


def test_variables_are_stated_and_change_nothing(tmp_path: Path) -> None:
    environ = {"HSA_OVERRIDE_GFX_VERSION": "11.0.0", "ROCR_VISIBLE_DEVICES": "0"}
    machine = probe(tmp_path, TWO.files, environ)
    assert [device.gfx for device in side(machine).devices] == ["gfx942", "gfx942"]
    assert ids(machine) == ["amd-gfx-override", "amd-visible-devices"]
    assert "HSA_OVERRIDE_GFX_VERSION=11.0.0" in machine.problems[0].message
    assert "ROCR_VISIBLE_DEVICES=0" in machine.problems[1].message


def test_variables_do_not_matter_without_a_gpu(tmp_path: Path) -> None:
    assert probe(tmp_path, {}, {"CUDA_VISIBLE_DEVICES": "0"}).problems == ()


def test_several_installations_are_stated(tmp_path: Path) -> None:
    machine = probe(tmp_path, TWO.files | {"/opt/rocm-6.2.0/.info/version": "6.2.0-66"})
    assert side(machine).rocm == "6.4.1"
    (problem,) = machine.problems
    assert problem.id == "amd-rocm-several"
    assert "ROCm 6.4.1 in /opt/rocm counts; also installed: 6.2.0 in /opt/rocm-6.2.0" in problem.message


def test_many_gpus_are_named_by_the_first(tmp_path: Path) -> None:
    host = FakeHost(tuple(mi300x(number) for number in range(8)), devices=False)
    (problem,) = probe(tmp_path, host.files).problems
    assert problem.message.startswith("AMD Instinct MI300X (gfx942) at 0000:05:00.0 and 7 more: ")
    assert "renderD128, /dev/dri/renderD129" in problem.message
    assert " are not there" in problem.message


@pytest.mark.parametrize(
    ("capture", "count", "name", "gfx", "gib"),
    [
        ("mi210-8gpu", 8, "AMD Instinct MI210", "gfx90a", None),
        ("mi300x-cpx", 63, "AMD Instinct MI300X", "gfx942", None),
        ("mi308x-cpx", 32, "AMD Instinct MI308X", "gfx942", 48),
        ("vega-old-kernel", 2, UNKNOWN, UNKNOWN, 16),
    ],
)
def test_captured_hosts(capture: str, count: int, name: object, gfx: object, gib: int | None, tmp_path: Path) -> None:
    if not (CAPTURES / "kfd" / capture).exists():
        pytest.skip("no captures beside this checkout")
    (tmp_path / NODES.lstrip("/")).parent.mkdir(parents=True)
    (tmp_path / NODES.lstrip("/")).symlink_to(CAPTURES / "kfd" / capture / "nodes")
    devices = {f"/dev/dri/renderD{minor}": "" for minor in range(128, 300)}
    machine = probe(
        tmp_path, {"/dev/kfd": "", "/sys/module/amdgpu/": "", "/opt/rocm/.info/version": "6.3.0", **devices}
    )
    assert [(d.index, d.name, d.gfx) for d in side(machine).devices] == [(index, name, gfx) for index in range(count)]
    sizes = [device.memory_bytes for device in side(machine).devices]
    assert {round(size / GIB) if isinstance(size, int) else None for size in sizes} == {gib}
    assert ids(machine) == (["amd-gfx-unknown"] if gfx is UNKNOWN else [])


@pytest.mark.parametrize("host", [TWO, FakeHost((igpu(), mi300x())), FakeHost(())])
def test_what_is_found_can_be_recorded(host: FakeHost, tmp_path: Path) -> None:
    machine = probe(tmp_path, host.files)
    again = machine_from_json(machine_to_json(machine))
    assert (again.amd, again.problems, again.sources) == (machine.amd, machine.problems, machine.sources)


def test_this_host_gives_an_answer() -> None:
    machine = probe_amd(Roots(), os.environ)
    assert machine.amd is None or isinstance(machine.amd, Amd)
