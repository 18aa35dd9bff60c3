"""os-release is read as a shell reads it, and nothing in it can raise."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import capture, capture_names, fixture, plant
from verl_env.machine.system.osrelease import parse_os_release, read_os

if TYPE_CHECKING:
    from pathlib import Path

CASES = json.loads(fixture("host/os-release.json"))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_form(case: dict[str, str | None], tmp_path: Path) -> None:
    roots = plant(tmp_path, {"/etc/os-release": str(case["text"])})
    assert read_os(roots) == (case["id"], case["version"], "/etc/os-release")


def test_the_file_of_the_vendor_stands_in(tmp_path: Path) -> None:
    roots = plant(tmp_path, {"/usr/lib/os-release": "ID=vendor\nVERSION_ID=2\n"})
    assert read_os(roots) == ("vendor", "2", "/usr/lib/os-release")


def test_the_file_of_the_host_comes_first(tmp_path: Path) -> None:
    roots = plant(tmp_path, {"/usr/lib/os-release": "ID=vendor\n", "/etc/os-release": "ID=host\n"})
    assert read_os(roots)[0] == "host"


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert read_os(plant(tmp_path, {})) == (None, None, None)


@pytest.mark.parametrize("name", capture_names("os-release.*.txt"))
def test_captures_name_their_distribution(name: str) -> None:
    values = parse_os_release(capture(name))
    family, _, version = name.split(".")[1].partition("_")
    expected = {
        "alma": "almalinux",
        "amazon": "amzn",
        "opensuseleap": "opensuse-leap",
        "oracle": "ol",
        "redhat": "rhel",
    }.get(family, family)
    assert values["ID"].lower() == expected.lower()
    assert re.fullmatch(r"\d+(\.\d+)?( .*)?", values["VERSION_ID"])
    if version and "." not in values["VERSION_ID"]:
        assert values["VERSION_ID"] == version


@given(st.text())
def test_any_text_gives_strings(text: str) -> None:
    assert all(isinstance(value, str) for value in parse_os_release(text).values())


@given(st.binary(max_size=300))
def test_any_bytes_give_strings(data: bytes) -> None:
    parse_os_release(data.decode("utf-8", "replace"))


@given(st.from_regex(r"[A-Z_]{1,12}", fullmatch=True), st.text(st.characters(codec="ascii", exclude_categories=["C"])))
def test_a_single_quoted_value_comes_back(name: str, value: str) -> None:
    value = value.replace("'", "")
    assert parse_os_release(f"{name}='{value}'\n") == {name: value}
