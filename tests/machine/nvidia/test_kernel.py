"""The kernel's files tell the driver, its kind and its device nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.kernel import MODULE, PROC, parse_proc_version, read_kernel
from verl_env.machine.roots import Roots

from .scenes import OPEN, PROPRIETARY, tree, write

if TYPE_CHECKING:
    from pathlib import Path

LINES = [
    (OPEN.format("580.65.06"), "580.65.06", True),
    (PROPRIETARY.format("535.183.01"), "535.183.01", False),
    ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  575.51.03  Release Build\n", "575.51.03", True),
    ("NVRM version: NVIDIA UNIX aarch64 Kernel Module  540.4.0  Release Build\n", "540.4.0", False),
    (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  595.80\nGCC version:  Selected multilib: .;@m64",
        "595.80",
        False,
    ),
    ("GCC version:  gcc version 12.3.0 (Ubuntu)\n" + OPEN.format("550.90.07"), "550.90.07", True),
    ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  weird", UNKNOWN, UNKNOWN),
    ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  5x", UNKNOWN, False),
    ("GCC version:  gcc version 12.3.0\n", UNKNOWN, UNKNOWN),
    ("", UNKNOWN, UNKNOWN),
]


@pytest.mark.parametrize(("text", "driver", "is_open"), LINES)
def test_the_line_of_the_driver(text: str, driver: object, is_open: object) -> None:
    assert parse_proc_version(text) == (driver, is_open)
    assert parse_proc_version(text.encode()) == (driver, is_open)


def test_a_loaded_driver_with_its_nodes(tmp_path: Path) -> None:
    roots = tree(tmp_path, driver="580.65.06", proc=OPEN, nodes=2)
    write(tmp_path, "dev/nvidiactl", "")
    write(tmp_path, "dev/nvidia-uvm", "")
    write(tmp_path, "dev/nvidia-caps/nvidia-cap1", "")
    side = read_kernel(roots)
    assert [(reading.source, reading.driver) for reading in side.readings] == [
        (MODULE, "580.65.06"),
        (PROC, "580.65.06"),
    ]
    assert (side.loaded, side.open_module, side.nodes, side.wsl) == (
        True,
        True,
        ("/dev/nvidia0", "/dev/nvidia1"),
        False,
    )


def test_an_odd_version_leaves_the_other_file_to_tell(tmp_path: Path) -> None:
    roots = tree(tmp_path, driver="", proc=PROPRIETARY.replace("{0}", "535.183.01"))
    write(tmp_path, "sys/module/nvidia/version", "private build\n")
    side = read_kernel(roots)
    assert [(reading.source, reading.driver) for reading in side.readings] == [(PROC, "535.183.01")]
    assert side.loaded


def test_a_module_without_a_version_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "sys/module/nvidia").mkdir(parents=True)
    side = read_kernel(Roots(tmp_path))
    assert side.loaded
    assert side.readings == ()
    assert side.open_module is UNKNOWN


def test_wsl_passes_gpus_through_another_node(tmp_path: Path) -> None:
    side = read_kernel(tree(tmp_path, wsl=True))
    assert (side.wsl, side.loaded, side.nodes) == (True, False, ())


def test_nothing_of_nvidia(tmp_path: Path) -> None:
    side = read_kernel(Roots(tmp_path))
    assert not side.loaded
    assert not side.readings
    assert not side.nodes
    assert not side.wsl


@given(st.text() | st.binary() | st.builds("NVRM version: {} Kernel Module {}".format, st.text(), st.text()))
def test_no_text_breaks_the_reader(data: str | bytes) -> None:
    parse_proc_version(data)
