"""The XML of nvidia-smi, whole, renamed, cut off and damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.reading import GpuReading, Reading
from verl_env.machine.nvidia.smi_xml import SOURCE, parse_smi_xml

from .scenes import fixture

MIG = fixture("smi-v12-mig.xml")


def test_version_11() -> None:
    assert parse_smi_xml(fixture("smi-v11.xml")) == Reading(
        SOURCE,
        driver="470.199.02",
        cuda="11.4",
        devices=(
            GpuReading(
                index=0,
                name="Tesla T4",
                uuid="GPU-11111111-2222-3333-4444-555555555555",
                memory_bytes=15109 << 20,
                compute_mode="Default",
                address="00000000:3b:00.0",
                device_id="1eb8",
                mig_mode=None,
            ),
        ),
    )


def test_version_12_with_slices() -> None:
    reading = parse_smi_xml(MIG)
    assert (reading.driver, reading.cuda) == ("550.127.05", "12.4")
    assert reading.devices is not None
    assert [(gpu.index, gpu.slice_of, gpu.memory_bytes) for gpu in reading.devices] == [
        (0, None, 81559 << 20),
        (0, 0, 40448 << 20),
        (0, 0, 9856 << 20),
        (1, None, 81559 << 20),
    ]
    sliced, _, _, whole = reading.devices
    assert (sliced.mig_mode, whole.mig_mode) == (True, False)
    assert (sliced.fabric, whole.fabric) == ("Completed", "In Progress")
    assert whole.compute_mode == "Exclusive_Process"


def test_the_names_of_driver_610() -> None:
    reading = parse_smi_xml(fixture("smi-610.xml"))
    assert (reading.driver, reading.cuda) == ("612.10.01", "13.3")
    assert reading.devices is not None
    assert reading.devices[0].memory_bytes is None
    assert reading.devices[0].address == "0000000f:01:00.0"


@pytest.mark.parametrize("field", ["kmd_version", "cuda_umd_version"])
def test_a_driver_that_has_one_of_the_names(field: str) -> None:
    text = fixture("smi-610.xml").decode()
    kept = "\n".join(line for line in text.splitlines() if f"<{field}>" not in line)
    reading = parse_smi_xml(kept)
    assert (reading.driver, reading.cuda) in {("612.10.01", "13.3"), ("612.10.01", UNKNOWN)}


def test_a_warning_before_the_xml_does_not_matter() -> None:
    assert parse_smi_xml(b"WARNING: infoROM is corrupted at gpu 0000:3B:00.0\n" + MIG) == parse_smi_xml(MIG)


def test_what_follows_the_xml_does_not_matter() -> None:
    assert parse_smi_xml(MIG + b"\nWARNING: something else") == parse_smi_xml(MIG)
    assert parse_smi_xml(MIG + fixture("smi-v11.xml")) == parse_smi_xml(MIG)


def test_gpus_before_a_cut_are_kept() -> None:
    reading = parse_smi_xml(MIG[: MIG.index(b"00000000:2A:00.0")])
    assert reading.driver == "550.127.05"
    assert reading.devices is not None
    assert {gpu.index for gpu in reading.devices} == {0}


def test_bytes_that_are_no_text_are_replaced() -> None:
    reading = parse_smi_xml(MIG.replace(b"NVIDIA H100", b"NVIDIA \xff\xfe H100", 1))
    assert reading.devices is not None
    assert len(reading.devices) == 4


@pytest.mark.parametrize(
    "data", [b"", b"No devices were found\n", b"<html></html>", "<nvidia_smi_log", "<nvidia_smi_log>\0"]
)
def test_what_is_no_such_xml_says_nothing(data: bytes | str) -> None:
    assert parse_smi_xml(data) == Reading(SOURCE)


@given(st.integers(0, len(MIG)))
def test_a_cut_anywhere_gives_a_beginning_of_the_whole(place: int) -> None:
    whole, cut = parse_smi_xml(MIG), parse_smi_xml(MIG[:place])
    assert cut.driver in {whole.driver, UNKNOWN}
    assert (cut.devices or ()) == (whole.devices or ())[: len(cut.devices or ())]


@given(
    st.lists(
        st.sampled_from([MIG, fixture("smi-610.xml"), b"\xff", b"<gpu>", b"</gpu>", b"]]>"]) | st.binary(), max_size=5
    )
)
def test_no_mixture_breaks_the_parser(pieces: list[bytes]) -> None:
    parse_smi_xml(b"".join(pieces))


@given(st.integers(0, len(MIG)), st.integers(0, len(MIG)), st.binary(max_size=8))
def test_no_damage_breaks_the_parser(start: int, end: int, put: bytes) -> None:
    parse_smi_xml(MIG[: min(start, end)] + put + MIG[max(start, end) :])


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    parse_smi_xml("<nvidia_smi_log>" + text)
