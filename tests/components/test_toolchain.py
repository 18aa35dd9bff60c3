"""gcc, GPUs and ABI by the tables, and nothing where they are silent."""

from __future__ import annotations

import pytest

from tests.components import samples
from verl_env.components.load import load_catalogue
from verl_env.components.toolchain import gcc_below, nvcc_targets, torch_abi


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return load_catalogue(samples.write(tmp_path_factory.mktemp("toolchain")))


@pytest.fixture(scope="module")
def shipped():
    return load_catalogue()


@pytest.mark.parametrize(
    ("nvcc", "expected"),
    [("12.0", "13"), ("12.1.105", "13"), ("12.4", None), ("12.10", None), ("13.9", None), ("12", None)],
)
def test_the_gcc_that_is_too_new(catalogue, nvcc, expected):
    assert gcc_below(catalogue, nvcc) == expected


@pytest.mark.parametrize(
    ("nvcc", "gpus", "expected"),
    [
        ("12.4", ["7.0", "10.0"], ("7.0",)),
        ("12.8", ["7.0", "10.0"], ("7.0", "10.0")),
        ("12.9.86", ["10.0", "7.0"], ("10.0", "7.0")),
        ("13.0", ["7.0", "10.0"], ("10.0",)),
        ("8.0", ["7.0"], ()),
        ("13.0", ["99.0"], ("99.0",)),
        ("13.0", [], ()),
    ],
)
def test_the_gpus_that_nvcc_makes_code_for(catalogue, nvcc, gpus, expected):
    assert nvcc_targets(catalogue, nvcc, gpus) == expected


@pytest.mark.parametrize(
    ("torch", "cuda", "expected"),
    [
        ("2.4.0", "12.1", False),
        ("2.5.1", None, False),
        ("2.6.0", "12.4", False),
        ("2.6.0+cu126", "12.6", True),
        ("2.6.0", "12.6.85", True),
        ("2.6.0", None, None),
        ("2.6.0", "12.8", None),
        ("2.7.1", None, True),
        ("2.11.0", "13.0", True),
        ("2.9.1.dev20251204+rocm7.0.2", None, True),
        ("3.0", "14.0", True),
        ("1.13.1", "11.7", None),
        ("unknown", None, None),
        ("", None, None),
    ],
)
def test_the_abi_of_torch(catalogue, shipped, torch, cuda, expected):
    assert torch_abi(catalogue, torch, cuda) is expected
    assert torch_abi(shipped, torch, cuda) is expected


def test_the_shipped_tables_say_what_nvidia_says(shipped):
    assert gcc_below(shipped, "12.6.85") == "14"
    assert gcc_below(shipped, "13.0") == "16"
    assert nvcc_targets(shipped, "12.6", ["7.0", "8.0", "9.0", "10.0", "12.0"]) == ("7.0", "8.0", "9.0")
    assert nvcc_targets(shipped, "13.0", ["7.0", "7.5", "10.3", "12.1"]) == ("7.5", "10.3", "12.1")
