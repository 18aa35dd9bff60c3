"""The host as /proc and /sys say it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from verl_env.doctor.engines.host import HostFacts, ProcMount, directory, mount_of, places, read_host, read_mounts

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
overlay / overlay rw,relatime 0 0
tmpfs /tmp tmpfs rw,nosuid,noexec 0 0
fs:/home /home nfs4 rw 0 0
fs:/data /data/my\\040project lustre rw 0 0
bad line
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "proc/mounts": MOUNTS,
        "proc/meminfo": "MemTotal: 10 kB\nMemAvailable:    2048 kB\n",
        "proc/modules": "nvidia_peermem 1 0 - Live\nnvidia 2 1 - Live\n",
        "proc/self/cgroup": "0::/job/step\n",
        "proc/net/route": "Iface\tDestination\nib0\t0000FE0A\n",
        "proc/42/comm": "raylet\n",
        "sys/fs/cgroup/job/memory.max": "4096\n",
        "sys/fs/cgroup/job/step/memory.max": "max\n",
        "sys/fs/cgroup/job/pids.max": "100\n",
        "sys/bus/pci/devices/0/vendor": "0x10de\n",
        "sys/bus/pci/devices/0/class": "0x068000\n",
        "sys/class/net/lo/operstate": "up\n",
        "sys/class/net/ib0/operstate": "up\n",
        "sys/class/net/eth0/operstate": "down\n",
        "sys/class/net/bonding_masters": "",
        "dev/nvidia0": "",
        "dev/nvidia-caps-imex-channels/channel0": "",
        "dev/dri/renderD128": "",
        "dev/sda": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "proc/42/exe").symlink_to("/envs/old/bin/raylet")
    (tmp_path / "tmp/ray").mkdir(parents=True)
    return tmp_path


def test_everything(root: Path) -> None:
    facts = read_host({"HOME": str(root), "PATH": "/nowhere"}, root=str(root))

    assert facts.memory_available == 2048 * 1024
    assert facts.modules == frozenset({"nvidia_peermem", "nvidia"})
    assert (facts.cgroup_memory, facts.cgroup_pids) == (4096, 100)
    assert facts.nvswitch is True
    assert facts.interfaces == ("ib0",)
    assert facts.all_interfaces == ("eth0", "ib0", "lo")
    assert facts.default_route is False
    assert facts.nodes
    assert {"/dev/nvidia0", "/dev/nvidia-caps-imex-channels/channel0", "/dev/dri/renderD128"} <= facts.nodes
    assert "/dev/sda" not in facts.nodes
    assert facts.processes == {"raylet": ("/envs/old/bin/raylet",)}
    assert facts.ray_dir_owner == os.getuid()
    assert facts.tools is not None
    assert facts.tools["nvcc"] is None
    assert facts.cpus_usable


def test_an_empty_root_is_unknown(tmp_path: Path) -> None:
    facts = read_host({"HOME": str(tmp_path)}, root=str(tmp_path))

    unknown = ("memory_available", "cgroup_memory", "nodes", "modules", "nvswitch", "interfaces", "default_route")
    assert [getattr(facts, name) for name in unknown] == [None] * len(unknown)
    assert facts.all_interfaces is None
    assert facts.ray_dir_owner is None


def test_this_host() -> None:
    facts = read_host(os.environ)

    assert facts.cpus_online
    assert facts.nofile_hard == -1 or (facts.nofile or 0) <= (facts.nofile_hard or 0)
    assert facts.directories["home"].exists
    assert facts.directories["tmp"].free_bytes >= 0


def test_mounts(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    mounts = read_mounts(tmp_path / "mounts")

    assert mount_of("/tmp/x", mounts) == ProcMount("/tmp", "tmpfs", frozenset({"rw", "nosuid", "noexec"}))
    assert getattr(mount_of("/home/me/.cache", mounts), "file_system", None) == "nfs4"
    assert getattr(mount_of("/data/my project/x", mounts), "file_system", None) == "lustre"
    assert getattr(mount_of("/homework", mounts), "file_system", None) == "overlay"
    assert mount_of("/x", ()) is None
    assert read_mounts(tmp_path / "none") == ()


def test_places() -> None:
    found = {
        role: (variable, path) for role, variable, path in places({"HOME": "/h", "TMPDIR": "/t", "HF_HOME": "/hf"})
    }

    assert found["home"] == ("HOME", "/h")
    assert found["tmp"] == ("TMPDIR", "/t")
    assert found["ray-tmp"] == ("TMPDIR", "/t")
    assert found["hf-cache"] == ("HF_HOME", "/hf")
    assert found["triton-cache"] == (None, "/h/.triton/cache")


def test_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    found = directory(str(tmp_path / "a" / "b"), "X", ())

    assert not found.exists
    assert found.writable
    assert found.device == tmp_path.stat().st_dev
    assert not found.network


def test_nothing_is_known_by_default() -> None:
    assert HostFacts().directories == {}
    assert HostFacts().nofile is None
