"""Values are read as they are printed, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.reading import (
    address_of,
    bytes_of,
    capability_of,
    cuda_of,
    device_id_of,
    text_of,
    value_of,
    version_of,
)
from verl_env.versions import is_dotted


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("550.54.15", "550.54.15"),
        ("  595.80\n", "595.80"),
        ("612.10.01 [Deprecated; will be removed in CUDA 14.0. Use KMD Version instead]", "612.10.01"),
        ("13.580.65.06", "13.580.65.06"),
        ('Deprecated, see "KMD version" instead', UNKNOWN),
        ("550", UNKNOWN),
        ("550.", UNKNOWN),
        ("550.54.15.1.2", UNKNOWN),
        ("55000.1", UNKNOWN),
        ("N/A", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
        ("\u0665\u0665\u0660.\u0661", UNKNOWN),
    ],
)
def test_versions(text: str | None, version: object) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" NVIDIA H200 ", "NVIDIA H200"),
        ("[N/A]", None),
        ("N/A", None),
        ("[Not Supported]", None),
        ("Not Supported", None),
        ("[Unknown Error]", None),
        ("[Requested functionality has been deprecated]", None),
        ("", None),
        (None, UNKNOWN),
    ],
)
def test_values(text: str | None, value: object) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("81559 MiB", 81559 << 20),
        ("0 MiB", 0),
        ("[N/A]", None),
        ("Not Supported", None),
        ("81559", UNKNOWN),
        ("80 GiB", UNKNOWN),
        ("-1 MiB", UNKNOWN),
        ("9999999999999999 MiB", UNKNOWN),
        ("[GPU is lost]", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_memory(text: str | None, value: object) -> None:
    assert bytes_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9.0", "9.0"),
        ("12.1", "12.1"),
        ("[N/A]", None),
        ("0.0", UNKNOWN),
        ("9", UNKNOWN),
        ("9.0.1", UNKNOWN),
        ("90", UNKNOWN),
        ("\u0669.\u0660", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_capabilities(text: str | None, value: object) -> None:
    assert capability_of(text) == value


@pytest.mark.parametrize(
    ("number", "version"),
    [
        (12040, "12.4"),
        (13000, "13.0"),
        (11080, "11.8"),
        (1000, "1.0"),
        (99990, "99.99"),
        (0, UNKNOWN),
        (999, UNKNOWN),
        (100000, UNKNOWN),
        (-12040, UNKNOWN),
        ("12040", UNKNOWN),
        (12.04, UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_cuda_versions(number: Any, version: object) -> None:
    assert cuda_of(number) == version


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:83:00.0", "00000000:83:00.0"),
        ("0000:83:00.0", "00000000:83:00.0"),
        ("83:00.0", "00000000:83:00.0"),
        ("0000000F:01:00.0", "0000000f:01:00.0"),
        ("10000:01:00.0", "00010000:01:00.0"),
        ("83:00", None),
        ("83:00.8", None),
        ("N/A", None),
        (None, None),
    ],
)
def test_addresses(text: str | None, address: str | None) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("0x233510DE", "2335"),
        ("233510DE", "2335"),
        ("20b210de", "20b2"),
        ("000000DE", None),
        ("[REDACTED]", None),
        ("0x744C1002", None),
        (None, None),
    ],
)
def test_device_ids(text: str | None, device: str | None) -> None:
    assert device_id_of(text) == device


@given(st.text() | st.binary())
def test_any_output_becomes_text_that_can_be_encoded(data: str | bytes) -> None:
    assert isinstance(text_of(data).encode("utf-8"), bytes)


@given(st.text(max_size=40) | st.text("0123456789.[]N/A MiB", max_size=20))
def test_no_text_breaks_a_reader(text: str) -> None:
    version = version_of(text)
    assert version is UNKNOWN or is_dotted(str(version))
    for read in (value_of, bytes_of, capability_of, address_of, device_id_of):
        read(text)
