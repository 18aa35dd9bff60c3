"""GPU names are forgiven their spelling, never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from verl_env.errors import EXIT_MISUSE
from verl_env.machine.errors import GpuCountError, GpuUnknownError
from verl_env.machine.gpu_names import MAX_COUNT, find_gpu, parse_gpu
from verl_env.machine.tables import GpuName, gpu_names, nvidia_pci_ids

NVIDIA = [
    ("h100", "9.0"),
    ("H100", "9.0"),
    ("h100-80gb", "9.0"),
    ("h100_80g", "9.0"),
    ("h200", "9.0"),
    ("a100-80gb", "8.0"),
    ("a100-40gb", "8.0"),
    ("A100", "8.0"),
    ("v100", "7.0"),
    ("l40s", "8.9"),
    ("rtx-4090", "8.9"),
    ("RTX 4090", "8.9"),
    ("rtx4090", "8.9"),
    ("4090", "8.9"),
    ("NVIDIA GeForce RTX 4090", "8.9"),
    ("nvidia_geforce_rtx_3090", "8.6"),
    ("gh200", "9.0"),
    ("gb200", "10.0"),
    ("b200", "10.0"),
    ("b300", "10.3"),
    ("gb300", "10.3"),
    ("gb10", "12.1"),
    ("dgx-spark", "12.1"),
    ("rtx-pro-6000", "12.0"),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0"),
    ("Tesla T4", "7.5"),
    ("p100", "6.0"),
    ("orin", "8.7"),
    ("sm_90", "9.0"),
    ("SM_90a", "9.0"),
    ("sm90", "9.0"),
    ("sm_75", "7.5"),
    ("sm_100", "10.0"),
    ("sm_103", "10.3"),
    ("sm_120f", "12.0"),
    ("compute_86", "8.6"),
]
AMD = [
    ("mi25", "gfx900"),
    ("mi50", "gfx906"),
    ("mi100", "gfx908"),
    ("mi210", "gfx90a"),
    ("mi250", "gfx90a"),
    ("mi250x", "gfx90a"),
    ("mi300a", "gfx942"),
    ("mi300x", "gfx942"),
    ("AMD Instinct MI300X", "gfx942"),
    ("mi325x", "gfx942"),
    ("MI-350X", "gfx950"),
    ("mi355x", "gfx950"),
    ("gfx942", "gfx942"),
    ("GFX90A", "gfx90a"),
    ("gfx1100", "gfx1100"),
    ("gfx1151", "gfx1151"),
]


@pytest.mark.parametrize(("name", "capability"), NVIDIA)
def test_nvidia_names(name: str, capability: str) -> None:
    gpu = find_gpu(name)
    assert (gpu.compute_capability, gpu.gfx) == (capability, None)


@pytest.mark.parametrize(("name", "gfx"), AMD)
def test_amd_names(name: str, gfx: str) -> None:
    gpu = find_gpu(name)
    assert (gpu.gfx, gpu.compute_capability) == (gfx, None)


@each("gpu", gpu_names(), lambda gpu: gpu.name)
def test_every_name_alias_and_product_of_the_table_is_found(gpu: Any) -> None:
    assert all(find_gpu(name) is gpu for name in (gpu.name, *gpu.aliases))
    assert find_gpu(gpu.product).compute_capability == gpu.compute_capability


@each("row", nvidia_pci_ids().values(), lambda row: row.id)
def test_every_name_that_a_driver_prints_is_found(row: Any) -> None:
    assert {find_gpu(name).compute_capability for name in row.names} == {row.compute_capability}


def test_an_architecture_is_no_product() -> None:
    assert find_gpu("sm_90").product == ""
    assert find_gpu("gfx942").product == ""


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("h10", "h100"),
        ("h1000", "h100"),
        ("mi300", "mi300x"),
        ("a100-80", "a100-80gb"),
        ("rtx-409", "rtx-4090"),
        ("titan", "titan-v"),
        ("gfx9010", "gfx90a"),
        ("b20", "b200"),
        ("l40x", "l40s"),
    ],
)
def test_an_unknown_name_lists_the_nearest(name: str, suggested: str) -> None:
    with pytest.raises(GpuUnknownError) as caught:
        find_gpu(name)
    error = caught.value
    assert suggested in error.nearest
    assert suggested in error.hint
    assert name in error.message
    assert (error.id, error.exit_code) == ("gpu-unknown", EXIT_MISUSE)


@pytest.mark.parametrize(
    "name", ["", "   ", "xyzzy", "nvidia", "gfx", "gfx94", "sm_", "sm_9", "sm_9000", "\u0968", "none"]
)
def test_what_is_like_nothing_still_gets_a_way_on(name: str) -> None:
    with pytest.raises(GpuUnknownError) as caught:
        find_gpu(name)
    assert "sm_90" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "count"),
    [("h100", 1), ("h100:8", 8), (" h100 : 4 ", 4), ("mi300x:08", 8), (f"h100:{MAX_COUNT}", MAX_COUNT)],
)
def test_counts(text: str, count: int) -> None:
    assert parse_gpu(text)[1] == count


@pytest.mark.parametrize(
    "text", ["h100:", "h100:0", "h100:-1", "h100:x", "h100:1.5", "h100:8:8", "h100:9999", "h100:\u0663"]
)
def test_bad_counts(text: str) -> None:
    with pytest.raises(GpuCountError) as caught:
        parse_gpu(text)
    assert caught.value.exit_code == EXIT_MISUSE
    assert text in caught.value.message
    assert parse_gpu(caught.value.hint.removeprefix("--gpu "))[1] == 8


def test_a_huge_count_is_refused_without_reading_it_as_a_number() -> None:
    with pytest.raises(GpuCountError):
        parse_gpu("h100:" + "9" * 10000)


@given(st.text(max_size=30))
def test_any_text_is_a_gpu_or_an_unknown_gpu(text: str) -> None:
    try:
        found: GpuName | GpuUnknownError = find_gpu(text)
    except GpuUnknownError as error:
        found = error
    assert found.name == text if isinstance(found, GpuUnknownError) else found.compute_capability or found.gfx


@given(st.sampled_from([name for name, _ in NVIDIA + AMD]), st.data())
def test_case_and_separators_do_not_count(name: str, data: st.DataObject) -> None:
    flips = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    written = "".join(char.upper() if flip else char.lower() for char, flip in zip(name, flips, strict=True))
    assert find_gpu(written.replace("-", data.draw(st.sampled_from(["-", " ", "_"])))) == find_gpu(name.lower())
