"""GPUs on the bus: vendor, class and id, without a driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import plant
from verl_env.machine.amd.pci import AmdPciGpu, find_gpus

from .kfd_trees import PCI, pci

if TYPE_CHECKING:
    from pathlib import Path


def test_gpus_and_accelerators_of_the_vendor(tmp_path: Path) -> None:
    files = (
        pci("0000:05:00.0", 0x74A1, 0x12)
        | pci("0000:c5:00.0", 0x164E, 0x03)
        | pci("0000:c5:00.1", 0x1640, 0x04)
        | pci("0000:01:00.0", 0x2330, 0x03, vendor=0x10DE)
    )
    assert find_gpus(plant(tmp_path, files)) == (
        AmdPciGpu("0000:05:00.0", "74a1", accelerator=True),
        AmdPciGpu("0000:c5:00.0", "164e", accelerator=False),
    )


@pytest.mark.parametrize("missing", ["vendor", "device", "class"])
def test_a_device_that_cannot_be_read_is_none(missing: str, tmp_path: Path) -> None:
    files = pci("0000:05:00.0", 0x74A1, 0x12)
    del files[f"{PCI}/0000:05:00.0/{missing}"]
    assert find_gpus(plant(tmp_path, files)) == ()


def test_no_bus_has_no_gpu(tmp_path: Path) -> None:
    assert find_gpus(plant(tmp_path, {})) == ()


@given(st.text(), st.text())
def test_any_text_in_the_files_gives_no_error(device: str, base: str) -> None:
    class Fake:
        def names(self, _: str) -> tuple[str, ...]:
            return ("0000:05:00.0",)

        def read(self, path: str) -> str:
            return {"vendor": "0x1002\n", "device": device, "class": base}[path.rpartition("/")[2]]

    assert all(len(gpu.device_id) == 4 for gpu in find_gpus(Fake()))  # type: ignore[arg-type]
