"""One list out of the kernel, the tools and the tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine import tables
from verl_env.machine.amd.kfd import Node
from verl_env.machine.amd.merge import (
    TABLE,
    Gpu,
    Value,
    card,
    from_nodes,
    from_pci,
    from_readings,
    split_integrated,
)
from verl_env.machine.amd.pci import AmdPciGpu
from verl_env.machine.amd.reading import ToolReading

GIB = 1 << 30


def node(number: int = 2, gfx: str | None = "gfx942", device: str | None = "74a1", memory: int | None = GIB) -> Node:
    return Node(number, gfx, device, f"0000:{number:02x}:00.0", 126 + number, 42, memory)


def gpu(index: int, gfx: str | None, bdf: str | None = None) -> Gpu:
    return Gpu(index, None, bdf, Value(gfx, "kfd") if gfx else None, None, None)


def test_the_kernel_and_the_table_say_everything() -> None:
    (found,) = from_nodes([node()], {}, "kfd")
    assert found == Gpu(
        0,
        "74a1",
        "0000:02:00.0",
        Value("gfx942", "kfd"),
        Value("AMD Instinct MI300X", TABLE),
        Value(GIB, "kfd"),
    )
    assert not found.incomplete


def test_the_table_gives_the_target_that_an_old_kernel_leaves_out() -> None:
    (found,) = from_nodes([node(gfx=None, device="740f")], {}, "kfd")
    assert found.gfx == Value("gfx90a", TABLE)


def test_a_tool_fills_what_is_left_open() -> None:
    readings = {
        "amd-smi": (ToolReading(bdf="0000:02:00.0", name="Instinct New"),),
        "rocm-smi": (ToolReading(node=2, gfx="gfx999", name="Other"),),
    }
    (found,) = from_nodes([node(gfx=None, device="ffff", memory=None)], readings, "kfd")
    assert (found.gfx, found.name) == (Value("gfx999", "rocm-smi"), Value("Instinct New", "amd-smi"))
    assert found.memory_bytes is None
    assert found.incomplete


def test_the_kernel_is_not_overruled() -> None:
    readings = {"rocm-smi": (ToolReading(node=2, gfx="gfx1036", memory_bytes=1),)}
    (found,) = from_nodes([node()], readings, "kfd")
    assert (found.gfx, found.memory_bytes) == (Value("gfx942", "kfd"), Value(GIB, "kfd"))


@pytest.mark.parametrize(
    ("readings", "name"),
    [
        ([ToolReading(node=3, name="wrong"), ToolReading(node=2, name="by number")], "by number"),
        (
            [ToolReading(bdf="0000:03:00.0", name="wrong"), ToolReading(bdf="0000:02:00.0", name="by address")],
            "by address",
        ),
        ([ToolReading(bdf="0000:02:00.7", name="by card")], "by card"),
        ([ToolReading(device_id="1111", name="wrong"), ToolReading(device_id="ffff", name="by kind")], "by kind"),
        ([ToolReading(device_id="1111", name="wrong")], None),
        ([ToolReading(name="wrong")], None),
    ],
)
def test_readings_are_matched(readings: list[ToolReading], name: str | None) -> None:
    (found,) = from_nodes([node(device="ffff")], {"amd-smi": readings}, "kfd")
    assert (found.name.value if found.name else None) == name


def test_a_tools_list_stands_without_the_kernel() -> None:
    readings = {
        "amd-smi": (ToolReading(device_id="ffff", name="A"), ToolReading(device_id="74a1")),
        "rocminfo": (ToolReading(gfx="gfx950", name="B"), ToolReading(gfx="gfx942")),
    }
    tool, found = from_readings(readings)
    assert tool == "rocminfo"
    assert [(one.index, one.gfx.value if one.gfx else None) for one in found] == [(0, "gfx950"), (1, "gfx942")]


def test_the_table_completes_a_tools_list() -> None:
    tool, found = from_readings(
        {"amd-smi": (ToolReading(device_id="74a0"),), "rocminfo": (ToolReading(gfx="gfx1036"),)}
    )
    assert (tool, found[0].gfx, found[0].name) == (
        "amd-smi",
        Value("gfx942", TABLE),
        Value("AMD Instinct MI300A", TABLE),
    )


def test_an_incomplete_list_is_better_than_none() -> None:
    tool, found = from_readings({"amd-smi": (), "rocm-smi": (ToolReading(name="A"),)})
    assert (tool, len(found)) == ("rocm-smi", 1)
    assert from_readings({}) == ("", ())


def test_the_bus_gives_the_gpus_for_computing() -> None:
    bus = [
        AmdPciGpu("0000:c5:00.0", "164e", accelerator=False),
        AmdPciGpu("0000:05:00.0", "740f", accelerator=False),
        AmdPciGpu("0000:15:00.0", "9999", accelerator=True),
    ]
    known, unknown = from_pci(bus)
    assert (known.index, known.gfx, known.label) == (
        0,
        Value("gfx90a", TABLE),
        "AMD Instinct MI210 (gfx90a) at 0000:05:00.0",
    )
    assert (unknown.index, unknown.gfx, unknown.label) == (1, None, "PCI id 9999 at 0000:15:00.0")


@pytest.mark.parametrize(
    ("targets", "left_out"),
    [
        (["gfx942", "gfx942"], []),
        (["gfx1036", "gfx942", "gfx942"], [0]),
        (["gfx942", "gfx1103"], [1]),
        (["gfx90a", "gfx90c"], [1]),
        (["gfx950", "gfx1319"], [1]),
        (["gfx942", "gfx1100"], []),
        (["gfx942", None], []),
        (["gfx1036"], []),
        (["gfx1100", "gfx1036"], []),
        ([], []),
    ],
)
def test_display_graphics_beside_instinct(targets: list[str | None], left_out: list[int]) -> None:
    gpus = [gpu(index, gfx) for index, gfx in enumerate(targets)]
    counted, integrated = split_integrated(gpus, frozenset())
    assert [one.index for one in integrated] == left_out
    assert [one.index for one in counted] == [index for index in range(len(targets)) if index not in left_out]


def test_a_processing_accelerator_is_never_display_graphics() -> None:
    gpus = [gpu(0, "gfx942", "0000:05:00.0"), gpu(1, "gfx1250", "0000:15:00.0")]
    assert split_integrated(gpus, frozenset({"0000:15:00.0"}))[1] == ()
    assert split_integrated(gpus, frozenset())[1] == (gpus[1],)


def test_every_target_of_the_tables_counts() -> None:
    targets = {*tables.amd_gfx(), *(gfx for index in tables.torch_rocm_indices() for gfx in index.gfx)}
    gpus = [gpu(index, gfx) for index, gfx in enumerate(sorted(targets))]
    assert split_integrated(gpus, frozenset()) == (tuple(gpus), ())


def test_partitions_share_their_card() -> None:
    assert card("0000:05:00.0") == card("0000:05:00.7") != card("0000:06:00.0")


readings = st.builds(
    ToolReading,
    node=st.none() | st.integers(0, 4),
    bdf=st.none() | st.sampled_from(["0000:02:00.0", "0000:03:00.0"]),
    device_id=st.none() | st.sampled_from(["74a1", "ffff"]),
    gfx=st.none() | st.sampled_from(["gfx942", "gfx1036"]),
    name=st.none() | st.just("x"),
    memory_bytes=st.none() | st.integers(1, 9),
)


@given(st.lists(st.integers(2, 9), unique=True), st.dictionaries(st.sampled_from("abc"), st.lists(readings)))
def test_tools_never_add_or_reorder_gpus(numbers: list[int], said: dict[str, list[ToolReading]]) -> None:
    found = from_nodes([node(number, gfx=None) for number in numbers], said, "kfd")
    assert [one.index for one in found] == list(range(len(numbers)))
    assert [one.bdf for one in found] == [f"0000:{number:02x}:00.0" for number in numbers]
    tool, listed = from_readings(said)
    assert len(listed) == len(said.get(tool, []))
