"""Agents of rocminfo: names at two blanks, and nothing deeper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import capture, capture_names, fixture
from verl_env.machine.amd.reading import ToolReading
from verl_env.machine.amd.rocminfo import parse_rocminfo

# What the captures say: the targets of the agents in order.
CAPTURED = {
    "rocminfo-grep.mi250x-epyc7a53.txt": ["gfx90a"] * 3,
    "rocminfo-grep.mi350x.txt": [],
    "rocminfo.mi250-excerpt.txt": ["gfx90a"],
    "rocminfo.mi250x-excerpt.txt": ["gfx90a"],
    "rocminfo.mi300x-bare-metal-excerpt.txt": ["gfx942"],
    "rocminfo.mi300x-vf-excerpt.txt": ["gfx942"],
    "rocminfo.mi350x-header-excerpt.txt": ["gfx950"],
    "rocminfo.mi355x-cpx-mixed-excerpt.txt": ["gfx950"] * 4,
    "rocminfo.mi50-8gpu-gfx906.txt": ["gfx906"] * 8,
}


def test_gpu_agents_with_padded_lines() -> None:
    assert parse_rocminfo(fixture("amd/rocminfo.txt")) == (
        ToolReading(node=4, device_id="74a1", gfx="gfx942", name="AMD Instinct MI300X"),
        ToolReading(node=5, device_id="164e", gfx="gfx1036", name="AMD Radeon Graphics"),
    )


def test_colours_and_other_line_ends() -> None:
    text = "\x1b[37mROCk module is loaded\x1b[0m\r\n\x1b[1m  Name:    gfx90a  \x1b[0m\r\n  Node:   3\r\n"
    assert parse_rocminfo(text) == (ToolReading(node=3, gfx="gfx90a"),)


def test_generic_targets_and_isa_names_are_no_agents() -> None:
    text = "  Name:   gfx9-4-generic\n      Name:    gfx942\nName: gfx942\n   Name: gfx942\n"
    assert parse_rocminfo(text) == ()


def test_the_first_field_of_a_kind_counts() -> None:
    text = "  Name:  gfx942\n  Node:  2\n  Node:  9\n  Marketing Name:  \n  Chip ID:  none\n"
    assert parse_rocminfo(text) == (ToolReading(node=2, gfx="gfx942"),)


@pytest.mark.parametrize("name", capture_names("rocminfo*"))
def test_captures(name: str) -> None:
    text = capture(name)
    readings = parse_rocminfo(text)
    assert [reading.gfx for reading in readings] == CAPTURED[name]
    if "Chip ID" in text and readings:
        assert {reading.device_id for reading in readings} <= {"740c", "7408", "74a1", "74b5", "66a1", "66af", "66a0"}


def test_a_cut_last_line_is_left_out() -> None:
    assert parse_rocminfo("  Name:  gfx1036\n  Name:  gfx103") == (ToolReading(gfx="gfx1036"),)


@given(st.text())
def test_any_text_gives_readings(text: str) -> None:
    assert all(reading.gfx for reading in parse_rocminfo(text))


@given(st.binary())
def test_any_bytes_give_readings(data: bytes) -> None:
    assert all(reading.gfx for reading in parse_rocminfo(data.decode("utf-8", "replace")))


@given(st.data())
def test_cut_and_mixed_output_gives_no_wrong_target(data: st.DataObject) -> None:
    text = fixture("amd/rocminfo.txt")
    start, end = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))
    for reading in parse_rocminfo(text[start:] + "\n" + text[:end]):
        assert reading.gfx in {"gfx942", "gfx1036"}
