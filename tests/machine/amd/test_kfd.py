"""The kernel's list of GPUs: targets in hexadecimal, CPU nodes, partitions, hidden nodes, old kernels."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import CAPTURES, capture_names, plant
from verl_env.machine.amd.kfd import Topology, gfx_of_version, normal_gfx, parse_properties, read_topology
from verl_env.machine.roots import Roots

from .kfd_trees import CPU, GIB, NODES, FakeGpu, FakeHost, igpu, mi300x

if TYPE_CHECKING:
    from pathlib import Path

# Captured topologies: GPU nodes by target, and cards (one or more nodes each).
CAPTURED = {
    "mi210-8gpu": ({"gfx90a": 8}, 8),
    "mi300x-cpx": ({"gfx942": 63}, 8),
    "mi308x-cpx": ({"gfx942": 32}, 8),
    "vega-old-kernel": ({None: 2}, 1),
}


@pytest.mark.parametrize(
    ("version", "gfx"),
    [
        (90000, "gfx900"),
        (90006, "gfx906"),
        (90008, "gfx908"),
        (90010, "gfx90a"),
        (90012, "gfx90c"),
        (90402, "gfx942"),
        (90500, "gfx950"),
        (100306, "gfx1036"),
        (110000, "gfx1100"),
        (110501, "gfx1151"),
        (120001, "gfx1201"),
        (0, None),
        (90016, None),
        (91600, None),
        (10203, None),
        (10**18, None),
    ],
)
def test_a_target_version_is_decimal_and_its_target_hexadecimal(version: int, gfx: str | None) -> None:
    assert gfx_of_version(version) == gfx


@given(st.integers(9, 12), st.integers(0, 15), st.integers(0, 15))
def test_every_version_of_the_rule_has_its_own_target(major: int, minor: int, step: int) -> None:
    gfx = gfx_of_version(major * 10000 + minor * 100 + step)
    assert gfx == f"gfx{major}{minor:x}{step:x}"


@pytest.mark.parametrize(
    ("text", "gfx"),
    [
        ("gfx90a", "gfx90a"),
        (" gfx942 ", "gfx942"),
        ("gfx9010", "gfx90a"),
        ("gfx9008", "gfx908"),
        ("gfx9006", "gfx906"),
        ("gfx90402", "gfx942"),
        ("gfx1100", "gfx1100"),
        ("gfx1036", "gfx1036"),
        ("gfx110501", "gfx1151"),
        ("gfx942:sramecc+:xnack-", "gfx942"),
        ("gfx9-4-generic", None),
        ("amdgcn-amd-amdhsa--gfx942", None),
        ("AMD EPYC 9004", None),
        ("N/A", None),
        ("", None),
    ],
)
def test_targets_as_tools_print_them(text: str, gfx: str | None) -> None:
    assert normal_gfx(text) == gfx


def test_properties_are_names_and_numbers() -> None:
    text = "simd_count 416\nunique_id 17888023871577450191\nname ip discovery\nnegative -1\n\ncut"
    assert parse_properties(text) == {"simd_count": 416, "unique_id": 17888023871577450191}


def test_gpus_behind_cpu_nodes(tmp_path: Path) -> None:
    topology = read_topology(plant(tmp_path, FakeHost((mi300x(0), mi300x(1))).files))
    assert topology is not None
    assert [node.number for node in topology.nodes] == [2, 3]
    first = topology.nodes[0]
    assert (first.gfx, first.device_id, first.bdf) == ("gfx942", "74a1", "0000:05:00.0")
    assert (first.render_minor, first.unique_id, first.memory_bytes) == (128, 42, 192 * GIB)
    assert topology.hidden == ()


def test_nodes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    gpus = tuple(FakeGpu(90010, 0x740F, f"0000:{bus:02x}:00.0", 128 + bus) for bus in range(1, 12))
    topology = read_topology(plant(tmp_path, FakeHost(gpus).files))
    assert topology is not None
    assert [node.number for node in topology.nodes] == list(range(2, 13))


def test_memory_is_the_frame_buffer_alone(tmp_path: Path) -> None:
    gpu = FakeGpu(90402, 0x74A1, "0000:05:00.0", 128, banks=((1, GIB), (2, 3 * GIB), (0, 512 * GIB), (5, 1)))
    topology = read_topology(plant(tmp_path, FakeHost((gpu,)).files))
    assert topology is not None
    assert topology.nodes[0].memory_bytes == 4 * GIB


def test_an_old_kernel_states_neither_target_nor_banks(tmp_path: Path) -> None:
    gpu = FakeGpu(None, 0x6860, "0000:19:00.0", 128, banks=(), extra=f"local_mem_size {16 * GIB}\n")
    topology = read_topology(plant(tmp_path, FakeHost((gpu,)).files))
    assert topology is not None
    assert (topology.nodes[0].gfx, topology.nodes[0].memory_bytes) == (None, 16 * GIB)


def test_partitions_are_nodes_of_one_card(tmp_path: Path) -> None:
    parts = tuple(FakeGpu(90402, 0x74A1, "0000:05:00.0", 128 + part, function=part) for part in range(8))
    topology = read_topology(plant(tmp_path, FakeHost(parts).files))
    assert topology is not None
    assert [node.bdf for node in topology.nodes] == [f"0000:05:00.{part}" for part in range(8)]


def test_a_withheld_node_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = plant(tmp_path, FakeHost((mi300x(0), mi300x(1))).files)
    withhold(monkeypatch, tmp_path, 3)
    topology = read_topology(roots)
    assert topology is not None
    assert ([node.number for node in topology.nodes], topology.hidden) == ([2], (3,))


def test_an_apu_that_shares_its_node_with_the_cpu_is_a_gpu(tmp_path: Path) -> None:
    files = {f"{NODES}/0/properties": "cpu_cores_count 8\nsimd_count 32\ngfx_target_version 90002\n"}
    topology = read_topology(plant(tmp_path, files))
    assert topology is not None
    assert (topology.nodes[0].gfx, topology.nodes[0].render_minor, topology.nodes[0].device_id) == (
        "gfx902",
        None,
        None,
    )


def test_no_kfd_is_none_and_an_empty_one_has_no_gpu(tmp_path: Path) -> None:
    assert read_topology(plant(tmp_path / "a", {})) is None
    empty = plant(tmp_path / "b", {f"{NODES}/0/properties": CPU, f"{NODES}/odd/properties": "", f"{NODES}/7/": ""})
    assert read_topology(empty) == Topology((), ())


@pytest.mark.parametrize("name", capture_names("kfd/*"))
def test_captured_topologies(name: str, tmp_path: Path) -> None:
    if name not in CAPTURED:
        pytest.skip("no captures beside this checkout")
    (tmp_path / NODES.lstrip("/")).parent.mkdir(parents=True)
    (tmp_path / NODES.lstrip("/")).symlink_to(CAPTURES / "kfd" / name / "nodes")
    topology = read_topology(Roots(tmp_path))
    assert topology is not None
    targets, cards = CAPTURED[name]
    assert Counter(node.gfx for node in topology.nodes) == targets
    assert len({node.bdf.partition(".")[0] for node in topology.nodes}) == cards
    assert all(node.device_id and node.render_minor for node in topology.nodes)


@given(st.text())
def test_any_text_gives_numbers(text: str) -> None:
    assert all(isinstance(value, int) for value in parse_properties(text).values())
    normal_gfx(text)


@given(st.lists(st.sampled_from(igpu().properties.splitlines() + mi300x().properties.splitlines() + ["", "x"])))
def test_cut_and_mixed_properties_give_no_error(lines: list[str]) -> None:
    text = "\n".join(lines)
    properties = parse_properties(text[: len(text) * 2 // 3])
    assert properties.keys() <= set(re.findall(r"\w+", text))


@given(st.integers(0, 10**20))
def test_any_number_is_a_target_or_none(version: int) -> None:
    gfx = gfx_of_version(version)
    assert gfx is None or normal_gfx(gfx) == gfx


def withhold(monkeypatch: pytest.MonkeyPatch, root: Path, number: int) -> None:
    """Let the kernel refuse to read a node, as KFD does for a GPU outside the device group."""
    path, real = f"{root}{NODES}/{number}/", os.open

    def refuse(place: str, *args: int) -> int:
        if place.startswith(path):
            raise PermissionError(1, "Operation not permitted", place)
        return real(place, *args)

    monkeypatch.setattr("verl_env.machine.roots.os.open", refuse)
