"""The tables and lists of nvidia-smi."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.reading import GpuReading, Reading
from verl_env.machine.nvidia.smi_csv import CSV_SOURCE, FIELDS, LIST_SOURCE, parse_smi_csv, parse_smi_list

from .scenes import fixture

CSV, ODD, LIST = fixture("query.csv"), fixture("query-odd.csv"), fixture("list-mig.txt")


def test_the_header_is_what_is_asked_for() -> None:
    header = [name.partition(" [")[0] for name in CSV.decode().splitlines()[0].split(", ")]
    assert tuple(header) == FIELDS


def test_one_line_for_each_gpu() -> None:
    reading = parse_smi_csv(CSV)
    assert (reading.source, reading.driver, reading.cuda) == (CSV_SOURCE, "550.127.05", UNKNOWN)
    assert reading.devices is not None
    assert reading.devices[1] == GpuReading(
        index=1,
        name="NVIDIA H100 80GB HBM3",
        uuid="GPU-aaaaaaaa-0000-0000-0000-000000000002",
        compute_capability="9.0",
        memory_bytes=81559 << 20,
        compute_mode="Exclusive_Process",
        address="00000000:2a:00.0",
        device_id="2330",
        mig_mode=False,
    )


def test_values_that_are_not_there() -> None:
    reading = parse_smi_csv(ODD)
    assert reading.driver == "580.95.05"
    assert reading.devices is not None
    spark, orin, broken = reading.devices
    assert (spark.memory_bytes, spark.mig_mode, spark.compute_capability) == (None, None, "12.1")
    assert (orin.name, orin.uuid, orin.memory_bytes, orin.address) == ("Orin (nvgpu)", None, None, None)
    assert (broken.index, broken.name, broken.compute_capability, broken.memory_bytes) == (
        7,
        "NVIDIA A30",
        None,
        UNKNOWN,
    )


def test_a_pending_change_of_mig_is_not_yet_a_change() -> None:
    reading = parse_smi_csv("index, mig.mode.current\n0, Disabled*\n1, Enabled*")
    assert reading.devices is not None
    assert [gpu.mig_mode for gpu in reading.devices] == [False, True]


def test_the_fabric_is_read_where_it_was_asked_for() -> None:
    reading = parse_smi_csv("index, fabric.state\n0, Completed\n1, Not Started\n2, N/A")
    assert reading.devices is not None
    assert [gpu.fabric for gpu in reading.devices] == ["Completed", "Not Started", None]


def test_an_index_that_is_no_number_is_the_place() -> None:
    reading = parse_smi_csv("index, name\nx, A\n\u0665, B")
    assert reading.devices is not None
    assert [gpu.index for gpu in reading.devices] == [0, 1]


@pytest.mark.parametrize(
    "data",
    [b"", b"No devices were found", b'Field "compute_cap" is not a valid field to query.\n', b"572.60\n572.60\n"],
)
def test_no_header_no_gpus(data: bytes) -> None:
    assert parse_smi_csv(data) == Reading(CSV_SOURCE)


def test_slices_follow_their_gpu() -> None:
    reading = parse_smi_list(LIST)
    assert reading.source == LIST_SOURCE
    assert reading.devices is not None
    assert [(gpu.index, gpu.slice_of, gpu.name, gpu.uuid) for gpu in reading.devices] == [
        (0, None, "NVIDIA H100 80GB HBM3", "GPU-aaaaaaaa-0000-0000-0000-000000000001"),
        (0, 0, "NVIDIA H100 80GB HBM3 MIG 3g.40gb", "MIG-aaaaaaaa-1111-0000-0000-000000000001"),
        (0, 0, "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "MIG-aaaaaaaa-1111-0000-0000-000000000002"),
        (1, None, "NVIDIA H100 80GB HBM3", "GPU-aaaaaaaa-0000-0000-0000-000000000002"),
    ]


def test_a_slice_without_a_gpu_is_nobodys() -> None:
    assert parse_smi_list("  MIG 1g.10gb     Device  0: (UUID: MIG-x)\n") == Reading(LIST_SOURCE)


def test_a_slice_of_a_gpu_without_a_name() -> None:
    reading = parse_smi_list("GPU 0: N/A (UUID: GPU-x)\n  MIG 1g.10gb Device 0: (UUID: MIG-x)")
    assert reading.devices is not None
    assert reading.devices[1].name == "MIG 1g.10gb"


pieces = st.lists(
    st.sampled_from([CSV, ODD, LIST, b"index, name\n", b"0,", b"\xff\xfe", b"\0\r\n"]) | st.binary(), max_size=5
)


@given(pieces.map(b"".join))
def test_no_mixture_breaks_the_parsers(data: bytes) -> None:
    parse_smi_csv(data)
    parse_smi_list(data)


@given(st.sampled_from([CSV, ODD, LIST]), st.integers(0, 2000))
def test_a_cut_anywhere_gives_a_beginning_of_the_whole(data: bytes, place: int) -> None:
    for parse in (parse_smi_csv, parse_smi_list):
        whole, cut = parse(data).devices or (), parse(data[:place]).devices or ()
        assert [gpu.index for gpu in cut[:-1]] == [gpu.index for gpu in whole[: len(cut)]][: len(cut[:-1])]


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    parse_smi_csv("index, name\n" + text)
    parse_smi_list("GPU 0: A (UUID: B)\n" + text)
