"""The bus tells of GPUs without a driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.pci import PciGpu, read_pci
from verl_env.machine.roots import Roots

from .scenes import add_pci, tree, write

if TYPE_CHECKING:
    from pathlib import Path


def test_gpus_are_named_by_the_table(tmp_path: Path) -> None:
    side = read_pci(tree(tmp_path, gpus=["2335", "20b2"]))
    assert side.gpus == (
        PciGpu("00000000:10:00.0", "2335", None),
        PciGpu("00000000:11:00.0", "20b2", None),
    )
    reading = side.reading()
    assert reading.source == "pci"
    assert reading.devices is not None
    assert [(gpu.name, gpu.compute_capability, gpu.index) for gpu in reading.devices] == [
        ("NVIDIA H200", "9.0", None),
        ("NVIDIA A100-SXM4-80GB", "8.0", None),
    ]


def test_an_id_of_several_products_gives_their_names(tmp_path: Path) -> None:
    devices = read_pci(tree(tmp_path, gpus=["2342"])).reading().devices
    assert devices is not None
    assert devices[0].name == "NVIDIA GH200 120GB / NVIDIA GH200 480GB"


def test_an_id_that_is_not_in_the_table_stays_unknown(tmp_path: Path) -> None:
    devices = read_pci(tree(tmp_path, gpus=["1db6"])).reading().devices
    assert devices is not None
    assert (devices[0].name, devices[0].compute_capability, devices[0].device_id) == (UNKNOWN, UNKNOWN, "1db6")


def test_a_display_card_counts_and_its_sound_does_not(tmp_path: Path) -> None:
    add_pci(tmp_path, "0000:01:00.0", "2684", kind="0x030000")
    add_pci(tmp_path, "0000:01:00.1", "22ba", kind="0x040300")
    assert [gpu.device_id for gpu in read_pci(Roots(tmp_path)).gpus] == ["2684"]


def test_other_vendors_do_not_count(tmp_path: Path) -> None:
    add_pci(tmp_path, "0000:02:00.0", "74a1", kind="0x120000", vendor="0x1002")
    add_pci(tmp_path, "0000:03:00.0", "2000", kind="0x030000", vendor="0x1a03")
    assert read_pci(Roots(tmp_path)).gpus == ()


def test_switches_are_counted(tmp_path: Path) -> None:
    side = read_pci(tree(tmp_path, gpus=["20b2"] * 8, switches=6))
    assert (len(side.gpus), side.switches) == (8, 6)


def test_the_driver_that_holds_a_gpu_is_named(tmp_path: Path) -> None:
    assert read_pci(tree(tmp_path, gpus=["2335"], bound="vfio-pci")).gpus[0].bound_to == "vfio-pci"


def test_damaged_entries_are_passed_over(tmp_path: Path) -> None:
    add_pci(tmp_path, "0000:04:00.0", "23", kind="0x030200")
    write(tmp_path, "sys/bus/pci/devices/0000:05:00.0/vendor", "0x10de\n")
    write(tmp_path, "sys/bus/pci/devices/stray", "")
    assert read_pci(Roots(tmp_path)).gpus == ()


def test_a_machine_without_a_bus(tmp_path: Path) -> None:
    side = read_pci(Roots(tmp_path))
    assert side.gpus == ()
    assert side.reading().devices == ()
