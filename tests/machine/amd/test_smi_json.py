"""Output of amd-smi and rocm-smi in the forms of their releases."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import capture, capture_names, fixture
from verl_env.machine.amd.reading import ToolReading
from verl_env.machine.amd.smi_json import parse_amd_smi, parse_rocm_smi

MIB = 1 << 20
FIXTURES = [
    "amd/amd-smi-list.json",
    "amd/amd-smi-gpu-data.json",
    "amd/rocm-smi-6.json",
    "amd/rocm-smi-5.json",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def test_amd_smi_as_a_list_without_targets() -> None:
    assert parse_amd_smi(fixture("amd/amd-smi-list.json")) == (
        ToolReading(None, "0000:0a:00.0", "74a1", None, "MI300X-O", 196592 * MIB),
        ToolReading(None, "0001:0b:00.0", "74a1", None, None, None),
    )


def test_amd_smi_below_gpu_data() -> None:
    assert parse_amd_smi(fixture("amd/amd-smi-gpu-data.json")) == (
        ToolReading(None, "0000:75:00.0", "75a3", "gfx950", "AMD Instinct MI355X", 294896 * MIB),
        ToolReading(None, "0000:c5:00.0", "164e", "gfx1036", "AMD Radeon Graphics", 512 * MIB),
    )


def test_rocm_smi_6_prints_the_raw_version_and_orders_cards_by_text() -> None:
    assert parse_rocm_smi(fixture("amd/rocm-smi-6.json")) == (
        ToolReading(5, "0000:a9:00.0", "740c", "gfx90a", "Aldebaran/MI200", 68702699520),
        ToolReading(6, "0000:b1:00.0", "740c", "gfx90a", "AMD INSTINCT MI250 (MCM) OAM", 68702699520),
    )


def test_rocm_smi_5_names_the_subsystem_as_its_model() -> None:
    assert parse_rocm_smi(fixture("amd/rocm-smi-5.json")) == (
        ToolReading(None, "0000:1e:00.0", "738c", None, "Arcturus GL-XL [Instinct MI100]", 34342961152),
    )


@pytest.mark.parametrize(
    "before", ["WARNING: AMD GPU device(s) is/are in a low-power state. [x]\n\n", "{\n[1\n", "\n  "]
)
def test_warnings_before_the_json(before: str) -> None:
    assert len(parse_amd_smi(before + fixture("amd/amd-smi-gpu-data.json"))) == 2
    assert len(parse_rocm_smi(before + fixture("amd/rocm-smi-6.json"))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "[1, 2]",
        '{"gpu_data": {"gpu": 0}}',
        '{"gpu_data": [null, "x", {}]}',
        '{"card0": "gone"}',
        '[{"cpu": 0}]',
        "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        "Unable to detect any GPU devices, check amdgpu version and module status (sudo modprobe amdgpu)",
    ],
)
def test_other_text_has_no_gpu(text: str) -> None:
    assert parse_amd_smi(text) == parse_rocm_smi(text) == ()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"value": 16, "unit": "GB"}, 16 << 30),
        ("65520 MB", 65520 * MIB),
        ({"value": "N/A", "unit": "MB"}, None),
        ({"value": -1, "unit": "MB"}, None),
        ({"value": 1}, None),
        (65520, None),
        (None, None),
        ([], None),
    ],
)
def test_sizes(size: object, expected: int | None) -> None:
    text = json.dumps([{"gpu": 0, "vram": {"size": size}}])
    assert parse_amd_smi(text)[0].memory_bytes == expected


# What the captures say: GPUs, target, device id, least memory in GiB.
AMD_SMI = {"amd-smi.static.mi210-intree-driver.json": (1, "gfx90a", "740f", 63)}
ROCM_SMI = {
    "rocm-smi.mi100_rocm571.json": (6, None, "738c", 31),
    "rocm-smi.mi100_rocm602.json": (4, None, "738c", 31),
    "rocm-smi.rx6700xt_rocm612.json": (1, "gfx1031", "73df", 11),
    "rocm-smi.showproductname.mi250.json": (2, "gfx90a", "740c", None),
    "rocm-smi.vega-20-WKS-GL-XE.json": (1, None, "66a1", 31),
}


@pytest.mark.parametrize("name", AMD_SMI)
def test_captured_amd_smi(name: str) -> None:
    check(parse_amd_smi(capture(name)), AMD_SMI[name])


@pytest.mark.parametrize("name", ROCM_SMI)
def test_captured_rocm_smi(name: str) -> None:
    check(parse_rocm_smi(capture(name)), ROCM_SMI[name])


def check(readings: tuple[ToolReading, ...], expected: tuple[int, str | None, str, int | None]) -> None:
    count, gfx, device, gib = expected
    assert len(readings) == count
    for reading in readings:
        assert (reading.gfx, reading.device_id) == (gfx, device)
        assert (reading.memory_bytes is None) == (gib is None)
        assert reading.name
        assert (reading.memory_bytes or 0) >> 30 == (gib or 0)


@pytest.mark.parametrize("name", capture_names("*.json"))
def test_every_capture_of_any_tool_gives_no_error(name: str) -> None:
    text = capture(name)
    for cut in (len(text), len(text) // 2, len(text) // 3):
        parse_amd_smi(text[:cut])
        parse_rocm_smi(text[:cut])


@given(st.text())
def test_any_text_gives_readings(text: str) -> None:
    assert isinstance(parse_amd_smi(text), tuple)
    assert isinstance(parse_rocm_smi(text), tuple)


@given(json_values)
def test_any_json_gives_readings(value: object) -> None:
    text = json.dumps(value)
    assert isinstance(parse_amd_smi(text), tuple)
    assert isinstance(parse_rocm_smi(text), tuple)


@given(
    st.dictionaries(st.sampled_from(["asic", "bus", "vram"]), json_values),
    st.dictionaries(
        st.sampled_from(["market_name", "device_id", "target_graphics_version", "bdf", "size", "Node ID", "PCI Bus"]),
        json_values,
    ),
)
def test_any_value_in_any_place_gives_readings(outer: dict[str, object], inner: dict[str, object]) -> None:
    entry = {"gpu": 0, "asic": inner, "bus": inner, "vram": inner} | outer
    assert len(parse_amd_smi(json.dumps({"gpu_data": [entry]}))) == 1
    assert len(parse_rocm_smi(json.dumps({"card0": inner}))) == 1


@pytest.mark.parametrize("name", FIXTURES)
@given(data=st.data())
def test_cut_and_joined_output_gives_no_error(name: str, data: st.DataObject) -> None:
    text = fixture(name)
    start, end = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))
    for mixed in (text[start:], text[:end], text[start:] + text[:end]):
        parse_amd_smi(mixed)
        parse_rocm_smi(mixed)
