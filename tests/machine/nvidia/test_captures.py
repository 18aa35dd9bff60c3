"""Every parser over real output, when a collection of it lies beside the checkout; and every mixture of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.kernel import parse_proc_version
from verl_env.machine.nvidia.merge import devices_of, merge_devices
from verl_env.machine.nvidia.nvml_answer import parse_nvml
from verl_env.machine.nvidia.smi import parse_messages
from verl_env.machine.nvidia.smi_csv import parse_smi_csv, parse_smi_list
from verl_env.machine.nvidia.smi_xml import parse_smi_xml

from .scenes import CAPTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARSERS: list[Callable[[bytes], object]] = [
    parse_proc_version,
    parse_nvml,
    parse_messages,
    parse_smi_csv,
    parse_smi_list,
    parse_smi_xml,
]
FILES = sorted(path for path in CAPTURES.rglob("*") if path.is_file()) if CAPTURES.is_dir() else []

pytestmark = pytest.mark.skipif(not FILES, reason="no collection of captures lies beside this checkout")


def named(pattern: str) -> list[Path]:
    return [path for path in FILES if path.match(pattern)]


def test_no_capture_breaks_a_parser() -> None:
    for path in FILES:
        for parse in PARSERS:
            parse(path.read_bytes())


@pytest.mark.parametrize("path", named("nvidia-smi-q-x.*.xml"), ids=lambda path: path.name)
def test_xml(path: Path) -> None:
    reading = parse_smi_xml(path.read_bytes())
    assert reading.devices
    whole = [gpu for gpu in reading.devices if gpu.slice_of is None]
    assert all(isinstance(gpu.name, str) and isinstance(gpu.memory_bytes, int) for gpu in whole)
    assert (reading.driver is UNKNOWN) == ("gtx-1070" in path.name)


@pytest.mark.parametrize("path", named("*.query-gpu*.csv"), ids=lambda path: path.name)
def test_tables(path: Path) -> None:
    reading = parse_smi_csv(path.read_bytes())
    assert reading.driver is not UNKNOWN
    assert reading.devices
    for device in devices_of(merge_devices([reading]).gpus):
        assert isinstance(device.compute_capability, str)
        assert isinstance(device.memory_bytes, int)


@pytest.mark.parametrize("path", named("nvidia-smi.*.L.txt"), ids=lambda path: path.name)
def test_lists(path: Path) -> None:
    reading = parse_smi_list(path.read_bytes())
    assert reading.devices
    text = path.read_text()
    assert len(reading.devices) == text.count("UUID:")
    assert sum(gpu.slice_of is not None for gpu in reading.devices) == text.count("  MIG ")


@pytest.mark.parametrize("path", named("proc-driver-nvidia-version.*.txt"), ids=lambda path: path.name)
def test_driver_files(path: Path) -> None:
    driver, is_open = parse_proc_version(path.read_bytes())
    assert driver is not UNKNOWN
    assert is_open is ("open" in path.name)


@pytest.mark.parametrize("path", named("nvidia-smi.err.*.txt"), ids=lambda path: path.name)
def test_complaints(path: Path) -> None:
    said, _, _ = parse_messages(path.read_bytes())
    expected = {
        "driver-library-mismatch": "mismatch",
        "driver-library-mismatch-old": "mismatch",
        "no-devices": "no-devices",
        "no-driver": "no-driver",
        "no-libnvidia-ml": "no-library",
        "nvml-unknown-error": "failed",
    }
    assert expected[path.name.split(".")[2]] in said


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_mixture_of_captures_breaks_a_parser(data: st.DataObject) -> None:
    smi = [path for path in FILES if "nvidia" in path.name]
    pieces = data.draw(st.lists(st.sampled_from(smi), min_size=1, max_size=3))
    mixed = b""
    for path in pieces:
        content = path.read_bytes()
        start, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 20000))
        mixed += content[start : start + length] + data.draw(st.binary(max_size=4))
    for parse in PARSERS:
        parse(mixed)
