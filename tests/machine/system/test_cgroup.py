"""The tightest level of either version of control groups counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import plant
from verl_env.machine.system.cgroup import Limit, Mount, cpu_limit, memory_limit, parse_cgroups, parse_mountinfo

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.machine.roots import Roots

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_CPU = "31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "32 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"


def limits(roots: Roots) -> tuple[Limit | None, Limit | None]:
    mounts = parse_mountinfo(roots.read("/proc/self/mountinfo") or "")
    return cpu_limit(roots, mounts), memory_limit(roots, mounts)


def test_version_2_walks_up_to_the_tightest(tmp_path: Path) -> None:
    base = "/sys/fs/cgroup/user.slice/job.scope"
    files = {
        "/proc/self/mountinfo": V2,
        "/proc/self/cgroup": "0::/user.slice/job.scope\n",
        f"{base}/cpu.max": "max 100000\n",
        f"{base}/memory.max": "8589934592\n",
        "/sys/fs/cgroup/user.slice/cpu.max": "250000 100000\n",
        "/sys/fs/cgroup/user.slice/memory.max": "4294967296\n",
    }
    assert limits(plant(tmp_path, files)) == (
        Limit(3, "/sys/fs/cgroup/user.slice/cpu.max"),
        Limit(4 << 30, "/sys/fs/cgroup/user.slice/memory.max"),
    )


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("100001 100000", 2),
        ("1600000 100000", 16),
        ("max 100000", None),
        ("0 100000", None),
        ("100000 0", None),
        ("100000", None),
        ("", None),
        ("lots 100000", None),
    ],
)
def test_a_quota_is_rounded_up(text: str, cpus: int | None, tmp_path: Path) -> None:
    files = {"/proc/self/mountinfo": V2, "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": text}
    found, _ = limits(plant(tmp_path, files))
    assert (found.value if found else None) == cpus


def test_version_1(tmp_path: Path) -> None:
    files = {
        "/proc/self/mountinfo": f"{V1_CPU}\n{V1_MEMORY}\n",
        "/proc/self/cgroup": "4:memory:/slurm/uid_7/job_9\n3:cpu,cpuacct:/slurm\n",
        "/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_quota_us": "400000\n",
        "/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/memory/slurm/uid_7/job_9/memory.limit_in_bytes": "9223372036854771712\n",
        "/sys/fs/cgroup/memory/slurm/uid_7/memory.limit_in_bytes": "1073741824\n",
    }
    assert limits(plant(tmp_path, files)) == (
        Limit(4, "/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_quota_us"),
        Limit(1 << 30, "/sys/fs/cgroup/memory/slurm/uid_7/memory.limit_in_bytes"),
    )


def test_no_limit_of_version_1_is_none(tmp_path: Path) -> None:
    files = {
        "/proc/self/mountinfo": V1_MEMORY,
        "/proc/self/cgroup": "4:memory:/\n",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    assert limits(plant(tmp_path, files)) == (None, None)


def test_a_container_sees_the_path_of_the_host_and_its_own_group(tmp_path: Path) -> None:
    files = {
        "/proc/self/mountinfo": "40 23 0:9 /docker/f00d /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
        "/proc/self/cgroup": "4:memory:/docker/f00d/inner\n",
        "/sys/fs/cgroup/memory/inner/memory.limit_in_bytes": "2147483648\n",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "3221225472\n",
    }
    assert limits(plant(tmp_path, files))[1] == Limit(2 << 30, "/sys/fs/cgroup/memory/inner/memory.limit_in_bytes")


def test_a_path_outside_the_namespace_falls_back_to_the_root(tmp_path: Path) -> None:
    files = {
        "/proc/self/mountinfo": V2,
        "/proc/self/cgroup": "0::/../../elsewhere\n",
        "/sys/fs/cgroup/memory.max": "1048576\n",
    }
    assert limits(plant(tmp_path, files))[1] == Limit(1 << 20, "/sys/fs/cgroup/memory.max")


def test_both_versions_count_on_a_hybrid_host(tmp_path: Path) -> None:
    files = {
        "/proc/self/mountinfo": f"{V1_MEMORY}\n41 23 0:8 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        "/proc/self/cgroup": "4:memory:/\n0::/job\n",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "4096\n",
        "/sys/fs/cgroup/unified/job/memory.max": "8192\n",
    }
    assert limits(plant(tmp_path, files))[1] == Limit(4096, "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def test_without_files_there_is_no_limit(tmp_path: Path) -> None:
    assert limits(plant(tmp_path, {})) == (None, None)
    assert limits(plant(tmp_path, {"/proc/self/mountinfo": V2})) == (None, None)


def test_mountinfo_decodes_escapes_and_skips_other_lines() -> None:
    text = f"{V2}\nnonsense\n42 23 0:8 /a\\040b /mnt/c\\011d rw shared:1 master:2 - ext4 /dev/x rw,relatime\n9 9 - x\n"
    assert parse_mountinfo(text) == (
        Mount("/", "/sys/fs/cgroup", "cgroup2", ("rw", "nsdelegate")),
        Mount("/a b", "/mnt/c\td", "ext4", ("rw", "relatime")),
    )


def test_cgroups_by_controller() -> None:
    assert parse_cgroups("3:cpu,cpuacct:/a:b\n0::/u\nbroken\n") == {"cpu": "/a:b", "cpuacct": "/a:b", "": "/u"}


@given(st.text(), st.text())
def test_any_text_gives_no_error(mountinfo: str, cgroup: str) -> None:
    parse_mountinfo(mountinfo)
    parse_cgroups(cgroup)


@given(st.data())
def test_cut_and_mixed_lines_give_no_error(data: st.DataObject) -> None:
    text = f"{V2}\n{V1_CPU}\n{V1_MEMORY}\n"
    start, end = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))
    assert all(mount.point.startswith("/") or start for mount in parse_mountinfo(text[start:] + text[:end]))
