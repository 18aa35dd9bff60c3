"""The host is what the kernel says, bounded by affinity, control groups and Slurm; every value has its source."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from verl_env.machine.host import probe_host
from verl_env.machine.model import UNKNOWN
from verl_env.machine.record import machine_from_json, machine_to_json
from verl_env.machine.roots import Roots

from .trees import capture, plant

if TYPE_CHECKING:
    from pathlib import Path

NODE = {
    "/etc/os-release": 'ID="rocky"\nVERSION_ID="8.9"\n',
    "/proc/sys/kernel/osrelease": "4.18.0-513.el8.x86_64\n",
    "/proc/meminfo": "MemTotal:       527951872 kB\nMemFree:        1 kB\n",
    "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "/proc/self/cgroup": "0::/slurm/job_9\n",
    "/sys/fs/cgroup/slurm/job_9/cpu.max": "max 100000\n",
    "/sys/fs/cgroup/slurm/job_9/memory.max": "max\n",
}


@pytest.fixture(autouse=True)
def _sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def test_a_bare_node(tmp_path: Path) -> None:
    machine = probe_host(plant(tmp_path, NODE), {})
    host = machine.host
    assert (host.os, host.os_version, host.kernel) == ("rocky", "8.9", "4.18.0-513.el8.x86_64")
    assert (host.cpus, host.memory_bytes) == (16, 527951872 * 1024)
    assert (host.wsl, host.container, host.jetson) == (False, None, None)
    assert host.arch == os.uname().machine
    assert machine.sources["host.cpus"] == "sched_getaffinity"
    assert machine.sources["host.memory_bytes"] == "/proc/meminfo"
    assert machine.sources["host.os"] == "/etc/os-release"
    assert machine.nvidia is machine.amd is UNKNOWN
    assert not machine.problems


def test_a_job_has_its_share(tmp_path: Path) -> None:
    environ = {"SLURM_JOB_ID": "9", "SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "65536"}
    machine = probe_host(plant(tmp_path, NODE), environ)
    assert (machine.host.cpus, machine.host.memory_bytes) == (4, 64 << 30)
    assert machine.sources["host.cpus"] == "SLURM_CPUS_ON_NODE"
    assert machine.sources["host.memory_bytes"] == "SLURM_MEM_PER_NODE"


def test_a_confined_job_has_what_its_group_has(tmp_path: Path) -> None:
    group = "/sys/fs/cgroup/slurm/job_9"
    files = {**NODE, f"{group}/cpu.max": "200000 100000\n", f"{group}/memory.max": "1073741824\n"}
    environ = {"SLURM_JOB_ID": "9", "SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "65536"}
    machine = probe_host(plant(tmp_path, files), environ)
    assert (machine.host.cpus, machine.host.memory_bytes) == (2, 1 << 30)
    assert machine.sources["host.cpus"] == f"{group}/cpu.max"
    assert machine.sources["host.memory_bytes"] == f"{group}/memory.max"


def test_stale_variables_of_a_larger_job_do_not_widen(tmp_path: Path) -> None:
    machine = probe_host(plant(tmp_path, NODE), {"SLURM_JOB_ID": "9", "SLURM_CPUS_ON_NODE": "128"})
    assert machine.host.cpus == 16


def test_nothing_readable_is_unknown_or_absent(tmp_path: Path) -> None:
    machine = probe_host(plant(tmp_path, {}), {})
    assert machine.host.memory_bytes is UNKNOWN
    assert machine.host.os is None
    assert machine.host.kernel == os.uname().release
    assert machine.sources["host.kernel"] == "uname"
    assert "host.memory_bytes" not in machine.sources


@pytest.mark.parametrize(("machine", "arch"), [("arm64", "aarch64"), ("amd64", "x86_64"), ("ppc64le", "ppc64le")])
def test_architectures_are_named_as_wheels_name_them(
    machine: str, arch: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "n", "6.1", "#1", machine)))
    assert probe_host(plant(tmp_path, {}), {}).host.arch == arch


def test_a_jetson_states_its_release(tmp_path: Path) -> None:
    files = {"/etc/nv_tegra_release": "# R35 (release), REVISION: 6.1, GCID: 1\n"}
    assert probe_host(plant(tmp_path, files), {}).host.jetson == "35.6.1"


def test_a_jetson_container_is_one_of_unknown_release(tmp_path: Path) -> None:
    files = {"/proc/device-tree/compatible": "nvidia,p3737-0000\0nvidia,tegra234\0"}
    machine = probe_host(plant(tmp_path, files), {})
    assert machine.host.jetson is UNKNOWN
    assert machine.sources["host.jetson"] == "/proc/device-tree/compatible"


def test_wsl_by_the_captured_kernel(tmp_path: Path) -> None:
    release = capture("proc-version.wsl2-uname.txt").split()[2]
    machine = probe_host(plant(tmp_path, {"/proc/sys/kernel/osrelease": f"{release}\n"}), {})
    assert machine.host.wsl is True


def test_this_host_survives_being_recorded() -> None:
    machine = probe_host(Roots(), os.environ)
    assert machine_from_json(machine_to_json(machine)).host == machine.host
    named = {key.removeprefix("host.") for key in machine.sources}
    assert {"arch", "kernel", "cpus", "wsl"} <= named


def test_binary_files_do_not_raise(tmp_path: Path) -> None:
    files = dict.fromkeys([*NODE, "/etc/nv_tegra_release", "/run/systemd/container"], bytes(range(256)))
    machine = probe_host(plant(tmp_path, files), {"container": "\udcff", "SLURM_JOB_ID": "1"})
    assert machine.host.cpus == 16
    assert machine.host.jetson is UNKNOWN
