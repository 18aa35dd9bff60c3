"""Readings of several witnesses become one list of devices, each fact with who told it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.merge import devices_of, merge_devices
from verl_env.machine.nvidia.reading import GpuReading, Reading
from verl_env.machine.nvidia.smi_csv import parse_smi_csv, parse_smi_list
from verl_env.machine.nvidia.smi_xml import parse_smi_xml

from .scenes import fixture

CSV = parse_smi_csv(fixture("query.csv"))
XML = parse_smi_xml(fixture("smi-v12-mig.xml"))
LIST = parse_smi_list(fixture("list-mig.txt"))


def reading(source: str, *gpus: GpuReading) -> Reading:
    return Reading(source, devices=gpus)


def test_the_first_that_lists_devices_counts() -> None:
    merged = merge_devices(
        [Reading("a"), reading("b", GpuReading(index=0, name="x")), reading("c", GpuReading(index=1))]
    )
    assert [gpu.index for gpu in merged.gpus] == [0]
    assert merged.sources == {"name": {"b": None}}


def test_no_listing_no_devices() -> None:
    assert merge_devices([]).gpus == []
    assert merge_devices([Reading("a"), Reading("b")]).gpus == []
    assert merge_devices([Reading("a", devices=()), reading("b", GpuReading(index=0))]).gpus == []


def test_what_one_does_not_know_another_tells() -> None:
    first = reading("a", GpuReading(index=0, uuid="GPU-1", name="x"))
    second = reading("b", GpuReading(index=4, uuid="GPU-1", name="y", compute_capability="9.0"))
    merged = merge_devices([first, second])
    assert merged.gpus == [GpuReading(index=0, uuid="GPU-1", name="x", compute_capability="9.0")]
    assert merged.sources["compute_capability"] == {"b": None}
    assert merged.sources["name"] == {"a": None}


def test_the_same_gpu_is_known_by_its_place() -> None:
    first = reading(
        "a", GpuReading(index=0, address="00000000:10:00.0"), GpuReading(index=1, address="00000000:11:00.0")
    )
    second = reading(
        "b",
        GpuReading(index=0, address="00000000:11:00.0", name="eleven"),
        GpuReading(index=1, address="00000000:10:00.0", name="ten"),
    )
    assert [gpu.name for gpu in merge_devices([first, second]).gpus] == ["ten", "eleven"]


def test_two_gpus_at_different_places_are_not_the_same_for_their_number() -> None:
    first = reading("a", GpuReading(index=0, address="00000000:10:00.0"))
    second = reading("b", GpuReading(index=0, address="00000000:11:00.0", name="other"))
    assert merge_devices([first, second]).gpus[0].name is UNKNOWN


def test_without_a_place_the_number_counts() -> None:
    first = reading("a", GpuReading(index=1, address="00000000:10:00.0"))
    second = reading("b", GpuReading(index=0, name="zero"), GpuReading(index=1, name="one"))
    assert merge_devices([first, second]).gpus[0].name == "one"


def test_masked_uuids_prove_nothing() -> None:
    first = reading("a", GpuReading(index=0, uuid="GPU-0"), GpuReading(index=1, uuid="GPU-0"))
    second = reading("b", GpuReading(index=0, uuid="GPU-0", name="zero"), GpuReading(index=1, uuid="GPU-0", name="one"))
    assert [gpu.name for gpu in merge_devices([first, second]).gpus] == ["zero", "one"]


def test_the_three_forms_of_nvidia_smi_make_one_list() -> None:
    merged = merge_devices([CSV, XML, LIST])
    assert [(device.index, device.uuid, device.memory_bytes, device.mig) for device in devices_of(merged.gpus)] == [
        (0, "MIG-aaaaaaaa-1111-0000-0000-000000000001", 40448 << 20, True),
        (0, "MIG-aaaaaaaa-1111-0000-0000-000000000002", 9856 << 20, True),
        (1, "GPU-aaaaaaaa-0000-0000-0000-000000000002", 81559 << 20, False),
    ]
    slices = devices_of(merged.gpus)[:2]
    assert [(part.compute_capability, part.pci_id, part.compute_mode) for part in slices] == [
        ("9.0", "2330", "Default")
    ] * 2
    assert merged.sources["memory_bytes"] == {"nvidia-smi --query-gpu": None, "nvidia-smi -q -x": None}


def test_slices_follow_the_number_of_their_gpu_not_their_order_in_the_xml() -> None:
    """The XML leaves a lost GPU out and so counts the others anew."""
    csv = reading(
        "csv",
        GpuReading(index=0, lost="gone"),
        GpuReading(index=1, uuid="GPU-aaaaaaaa-0000-0000-0000-000000000001", mig_mode=True),
    )
    merged = merge_devices([csv, XML, LIST])
    assert [(device.index, device.mig) for device in devices_of(merged.gpus)] == [(1, True), (1, True)]
    assert devices_of(merged.gpus)[0].uuid == "MIG-aaaaaaaa-1111-0000-0000-000000000001"


def test_the_compute_capability_comes_from_the_tables_last() -> None:
    merged = merge_devices([reading("a", GpuReading(index=0, device_id="20b2", name="whatever"))])
    assert merged.gpus[0].compute_capability == "8.0"
    assert merged.sources["compute_capability"] == {"table of PCI ids": None}
    named = merge_devices([reading("a", GpuReading(index=0, device_id="ffff", name="NVIDIA L40S"))])
    assert named.gpus[0].compute_capability == "8.9"
    assert named.sources["compute_capability"] == {"table of names": None}
    unknown = merge_devices([reading("a", GpuReading(index=0, name="NVIDIA X1000"))])
    assert unknown.gpus[0].compute_capability is UNKNOWN


def test_a_lost_gpu_is_not_looked_up_and_no_device() -> None:
    merged = merge_devices([reading("a", GpuReading(index=0, device_id="20b2", lost="gone"), GpuReading(index=1))])
    assert merged.gpus[0].compute_capability is UNKNOWN
    assert [device.index for device in devices_of(merged.gpus)] == [1]


def test_a_gpu_without_a_number_gets_its_place() -> None:
    assert [device.index for device in devices_of([GpuReading(), GpuReading()])] == [0, 1]


def test_a_sliced_gpu_without_slices_stays() -> None:
    assert [device.mig for device in devices_of([GpuReading(index=0, mig_mode=True)])] == [False]


gpus = st.builds(
    GpuReading,
    index=st.none() | st.integers(0, 3),
    name=st.sampled_from([UNKNOWN, None, "NVIDIA L4"]),
    uuid=st.sampled_from([UNKNOWN, None, "GPU-1", "GPU-2", "GPU-3"]),
    compute_capability=st.sampled_from([UNKNOWN, None, "9.0"]),
    address=st.sampled_from([None, "00000000:10:00.0", "00000000:11:00.0"]),
    slice_of=st.none() | st.integers(0, 3),
    lost=st.none() | st.just("gone"),
)
readings = st.builds(Reading, st.sampled_from("abc"), devices=st.none() | st.lists(gpus, max_size=4).map(tuple))


@given(st.lists(readings, max_size=4))
def test_every_device_was_listed_by_a_witness(given_readings: list[Reading]) -> None:
    merged = merge_devices(given_readings)
    listing = next((one.devices for one in given_readings if one.devices is not None), ())
    assert len([gpu for gpu in merged.gpus if gpu.slice_of is None]) == len(
        [gpu for gpu in listing if gpu.slice_of is None]
    )
    for gpu in merged.gpus:
        assert gpu.compute_capability in {UNKNOWN, None, "9.0", "8.9"}
    devices_of(merged.gpus)
