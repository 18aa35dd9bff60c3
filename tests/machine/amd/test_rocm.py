"""ROCm's user space by its own files, and the kernel driver with and without a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import capture, plant
from verl_env.machine.amd.rocm import (
    IN_TREE,
    Rocm,
    RocmFound,
    find_driver,
    find_rocm,
    parse_rocm_header,
    parse_rocm_version,
)

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "#define ROCM_VERSION_MAJOR   6\n#define ROCM_VERSION_MINOR   3\n#define ROCM_VERSION_PATCH   4\n"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("6.3.4-76\n", "6.3.4"),
        ("6.2.0", "6.2.0"),
        ("7.14.0-12-gfx942;gfx950", "7.14.0"),
        ("10.0.0+abc", "10.0.0"),
        ("7.0", "7.0"),
        ("", None),
        ("6", None),
        ("six", None),
        ("6.2.0 beta", None),
    ],
)
def test_versions(text: str, version: str | None) -> None:
    assert parse_rocm_version(text) == version


@pytest.mark.parametrize(("name", "version"), [("rocm6.2", "6.2.0"), ("rocm7.13-with-gfx-suffix", "7.13.0")])
def test_captured_versions(name: str, version: str) -> None:
    assert parse_rocm_version(capture(f"opt-rocm-info-version.{name}.txt")) == version


def test_every_captured_component_has_the_version() -> None:
    lines = capture("opt-rocm-info.rocm6.4.grep.txt").splitlines()
    assert {parse_rocm_version(line.partition(":")[2]) for line in lines} == {"6.4.0"}


@pytest.mark.parametrize(
    ("text", "version"),
    [(HEADER, "6.3.4"), (HEADER.replace("PATCH", "BUILD"), None), ("", None), ("#define X 1", None)],
)
def test_headers(text: str, version: str | None) -> None:
    assert parse_rocm_header(text) == version


def info(prefix: str, version: str) -> dict[str, str]:
    return {f"{prefix}/.info/version": f"{version}\n"}


def test_the_default_place(tmp_path: Path) -> None:
    found = find_rocm(plant(tmp_path, info("/opt/rocm", "6.4.1-83")), {})
    assert found == RocmFound(Rocm("6.4.1", "/opt/rocm", "/opt/rocm/.info/version"), ())


def test_the_header_stands_in_for_the_version_file(tmp_path: Path) -> None:
    roots = plant(tmp_path, {"/opt/rocm/include/rocm-core/rocm_version.h": HEADER})
    found = find_rocm(roots, {})
    assert found.chosen == Rocm("6.3.4", "/opt/rocm", "/opt/rocm/include/rocm-core/rocm_version.h")


def test_the_core_sdk_lives_one_level_deeper(tmp_path: Path) -> None:
    found = find_rocm(plant(tmp_path, info("/opt/rocm/core", "7.14.0")), {})
    assert found.chosen == Rocm("7.14.0", "/opt/rocm/core", "/opt/rocm/core/.info/version")


def test_a_module_names_its_own(tmp_path: Path) -> None:
    files = info("/opt/rocm", "6.0.2-1") | info("/sw/rocm/6.3.1", "6.3.1-48") | info("/opt/rocm-6.0.2", "6.0.2-1")
    found = find_rocm(plant(tmp_path, files), {"ROCM_PATH": "/sw/rocm/6.3.1/"})
    assert found.chosen is not None
    assert (found.chosen.version, found.chosen.prefix) == ("6.3.1", "/sw/rocm/6.3.1")
    assert [other.version for other in found.others] == ["6.0.2"]


def test_side_by_side_without_a_name_the_newest_counts(tmp_path: Path) -> None:
    files = (
        info("/opt/rocm-6.2.4", "6.2.4-139") | info("/opt/rocm-6.10.0", "6.10.0-1") | info("/opt/rocm-5.7.1", "5.7.1")
    )
    found = find_rocm(plant(tmp_path, files), {})
    assert found.chosen is not None
    assert found.chosen.version == "6.10.0"
    assert [other.version for other in found.others] == ["6.2.4", "5.7.1"]


def test_versions_of_the_core_sdk_side_by_side(tmp_path: Path) -> None:
    files = info("/opt/rocm/core-7.13", "7.13.0") | info("/opt/rocm/core-10.0", "10.0.0")
    found = find_rocm(plant(tmp_path, files), {})
    assert found.chosen is not None
    assert (found.chosen.version, [other.version for other in found.others]) == ("10.0.0", ["7.13.0"])


@pytest.mark.parametrize("variable", ["", "relative/rocm", "/gone"])
def test_a_name_that_leads_nowhere_is_passed_over(variable: str, tmp_path: Path) -> None:
    found = find_rocm(plant(tmp_path, info("/opt/rocm", "6.4.1")), {"ROCM_PATH": variable})
    assert found.chosen is not None
    assert found.chosen.prefix == "/opt/rocm"


def test_a_broken_installation_is_none(tmp_path: Path) -> None:
    roots = plant(tmp_path, info("/opt/rocm", "unknown") | {"/opt/rocm-6.2.0/bin/": "", "/opt/rocm-6.2.0/.info/": ""})
    assert find_rocm(roots, {}) == RocmFound(None, ())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/sys/module/amdgpu/version": "6.12.12\n"}, ("6.12.12", "/sys/module/amdgpu/version")),
        ({"/sys/module/amdgpu/srcversion": "6CC\n"}, (IN_TREE, "/sys/module/amdgpu")),
        ({"/sys/module/amdgpu/version": "\n"}, (IN_TREE, "/sys/module/amdgpu")),
        ({}, (None, "/sys/module/amdgpu")),
    ],
)
def test_the_kernel_driver(files: dict[str, str], expected: tuple[str | None, str], tmp_path: Path) -> None:
    assert find_driver(plant(tmp_path, files)) == expected


@given(st.text())
def test_any_text_is_a_version_or_none(text: str) -> None:
    version = parse_rocm_version(text)
    assert version is None or text.strip().startswith(version)
    parse_rocm_header(text)
