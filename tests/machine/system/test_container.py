"""Each container runtime is told by its own mark, WSL by its kernel, a Jetson by its release file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import capture, plant
from verl_env.machine.system.cgroup import Mount
from verl_env.machine.system.container import find_container, find_wsl, parse_tegra_release

if TYPE_CHECKING:
    from pathlib import Path

LOCK = (Mount("/x/.lock", "/.lock", "ext4", ("ro",)),)


@pytest.mark.parametrize(
    ("files", "environ", "mounts", "expected"),
    [
        ({}, {}, (), (None, None)),
        ({"/.dockerenv": ""}, {}, (), ("docker", "/.dockerenv")),
        ({"/run/.containerenv": 'engine="podman-5"'}, {"container": "podman"}, (), ("podman", "/run/.containerenv")),
        ({}, {"APPTAINER_CONTAINER": "/a.sif"}, (), ("apptainer", "$APPTAINER_CONTAINER")),
        (
            {"/.singularity.d/": "", "/.dockerenv": ""},
            {"SINGULARITY_CONTAINER": "/a.sif", "APPTAINER_CONTAINER": "/a.sif"},
            (),
            ("apptainer", "$APPTAINER_CONTAINER"),
        ),
        ({}, {"SINGULARITY_CONTAINER": "/a.sif"}, (), ("singularity", "$SINGULARITY_CONTAINER")),
        ({"/.singularity.d/": ""}, {}, (), ("apptainer", "/.singularity.d")),
        ({"/.dockerenv": ""}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, (), ("kubernetes", "$KUBERNETES_SERVICE_HOST")),
        (
            {"/var/run/secrets/kubernetes.io/": "", "/run/.containerenv": ""},
            {},
            (),
            ("kubernetes", "/var/run/secrets/kubernetes.io"),
        ),
        ({}, {"CH_RUNNING": "Weird"}, (), ("charliecloud", "$CH_RUNNING")),
        ({}, {"SHIFTER_RUNTIME": "1"}, (), ("shifter", "$SHIFTER_RUNTIME")),
        ({}, {}, LOCK, ("enroot", "/proc/self/mountinfo (/.lock)")),
        ({"/run/systemd/container": "lxc\n"}, {}, (), ("lxc", "/run/systemd/container")),
        ({"/run/systemd/container": "wsl\n"}, {}, (), (None, None)),
        ({}, {"container": "systemd-nspawn"}, (), ("systemd-nspawn", "$container")),
        ({}, {"container": ""}, (), (None, None)),
        ({}, {"container": "My Box!"}, (), (None, None)),
        ({"/proc/self/cgroup": "0::/docker/0123\n"}, {}, (), ("docker", "/proc/self/cgroup")),
        ({"/proc/self/cgroup": "5:cpu:/kubepods/burstable/pod1\n"}, {}, (), ("kubernetes", "/proc/self/cgroup")),
        ({"/proc/self/cgroup": "0::/machine.slice/libpod-1.scope\n"}, {}, (), ("podman", "/proc/self/cgroup")),
        ({"/proc/self/cgroup": "5:cpu:/lxc/box\n"}, {}, (), ("lxc", "/proc/self/cgroup")),
        ({"/proc/self/cgroup": "0::/user.slice/session-1.scope\n"}, {}, (), (None, None)),
    ],
)
def test_container(
    files: dict[str, str],
    environ: dict[str, str],
    mounts: tuple[Mount, ...],
    expected: tuple[str | None, str | None],
    tmp_path: Path,
) -> None:
    assert find_container(plant(tmp_path, files), environ, mounts) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/sys/kernel/osrelease": "6.6.87.2-microsoft-standard-WSL2\n"}, True),
        ({"/proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft\n"}, True),
        ({"/proc/sys/kernel/osrelease": "6.8.0-45-generic\n"}, False),
        ({"/proc/sys/kernel/osrelease": "6.1.21.custom\n", "/proc/sys/fs/binfmt_misc/WSLInterop": "enabled"}, True),
        ({}, False),
    ],
)
def test_wsl(files: dict[str, str], *, expected: bool, tmp_path: Path) -> None:
    found, source = find_wsl(plant(tmp_path, files))
    assert found is expected
    assert source in {"/proc/sys/kernel/osrelease", "/proc/sys/fs/binfmt_misc/WSLInterop"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# R35 (release), REVISION: 6.1, GCID: 1, BOARD: generic, EABI: aarch64, DATE: today", "35.6.1"),
        ("# R38 (release), REVISION: 2.0\n# KERNEL_VARIANT: oot\n", "38.2.0"),
        ("# R32 (release), REVISION: 7", "32.7"),
        ("R35 REVISION: 6.1", None),
        ("# R35 (release)", None),
        ("", None),
    ],
)
def test_jetson_releases(text: str, expected: str | None) -> None:
    assert parse_tegra_release(text) == expected


@pytest.mark.parametrize("release", ["32.7.2", "36.4.3"])
def test_captured_jetson_releases(release: str) -> None:
    assert parse_tegra_release(capture(f"nv_tegra_release.r{release}.txt")) == release


@given(st.text())
def test_any_text_is_a_release_or_none(text: str) -> None:
    assert parse_tegra_release(text) is None or text.startswith("#")
