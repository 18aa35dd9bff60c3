"""Machines survive JSON, and files that lie are refused by key."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.strategies import machines
from verl_env.machine.model import UNKNOWN, Machine, Nvidia, NvidiaDevice
from verl_env.machine.record import MachineFileError, machine_from_json, machine_to_json, read_machine

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
sections = st.sampled_from(["schema", "host", "nvidia", "amd", "toolchain", "pythons", "sources", "problems"])


@given(machines)
def test_what_is_written_is_read_back(machine):
    text = json.dumps(machine_to_json(machine))
    assert machine_from_json(json.loads(text)) == machine


@given(st.dictionaries(sections, json_values))
def test_any_json_is_read_or_refused_with_a_reason(data):
    try:
        machine = machine_from_json({"schema": 1, **data})
    except MachineFileError as error:
        assert error.reason  # noqa: PT017  either outcome is right; a refusal must say why
    else:
        assert isinstance(machine, Machine)


def test_absent_and_unknown_differ():
    machine = machine_from_json({"schema": 1, "nvidia": None, "host": {"glibc": None}})
    assert machine.nvidia is None
    assert machine.amd is UNKNOWN
    assert machine.host.glibc is None
    assert machine.host.arch is UNKNOWN
    assert machine_to_json(machine) == {
        "schema": 1,
        "host": {"glibc": None},
        "nvidia": None,
        "sources": {},
        "problems": [],
    }


def test_devices_without_an_index_take_their_place():
    data = {"schema": 1, "nvidia": {"devices": [{"compute_capability": "9.0"}, {"compute_capability": "8.0"}]}}
    assert machine_from_json(data).nvidia == Nvidia(
        devices=(NvidiaDevice(0, compute_capability="9.0"), NvidiaDevice(1, compute_capability="8.0"))
    )


def test_keys_of_later_versions_are_ignored():
    assert machine_from_json({"schema": 1, "tpu": {}, "host": {"colour": "blue"}}) == Machine()


@pytest.mark.parametrize(
    ("data", "key", "part_of_reason"),
    [
        ([], "", "must be an object"),
        ({}, "schema", "must be 1, not None"),
        ({"schema": 2}, "schema", "must be 1, not 2"),
        ({"schema": 1, "host": []}, "host", "must be an object"),
        ({"schema": 1, "host": {"arch": None}}, "host.arch", "must be a string"),
        ({"schema": 1, "host": {"cpus": -1}}, "host.cpus", "whole number"),
        ({"schema": 1, "host": {"cpus": True}}, "host.cpus", "whole number"),
        ({"schema": 1, "host": {"glibc": "new"}}, "host.glibc", "dotted number"),
        ({"schema": 1, "nvidia": {"driver": "abc"}}, "nvidia.driver", '"abc"'),
        ({"schema": 1, "nvidia": {"devices": {}}}, "nvidia.devices", "must be a list"),
        ({"schema": 1, "nvidia": {"devices": [7]}}, "nvidia.devices[0]", "must be an object"),
        (
            {"schema": 1, "nvidia": {"devices": [{"compute_capability": "9"}]}},
            "nvidia.devices[0].compute_capability",
            "such as 9.0",
        ),
        ({"schema": 1, "amd": {"devices": [{"gfx": "942"}]}}, "amd.devices[0].gfx", "such as gfx942"),
        ({"schema": 1, "pythons": [{"version": "3.10.1"}]}, "pythons[0].path", "is missing"),
        ({"schema": 1, "toolchain": {"paths": {"nvcc": 1}}}, "toolchain.paths.nvcc", "must be a string"),
        ({"schema": 1, "sources": {"host.arch": None}}, "sources.host.arch", "must be a string"),
    ],
)
def test_lies_are_refused_by_key(data, key, part_of_reason):
    with pytest.raises(MachineFileError) as caught:
        machine_from_json(data, origin="node7.json")
    assert caught.value.key == key
    assert part_of_reason in caught.value.message
    assert caught.value.message.startswith("node7.json: ")
    assert "verl-env probe" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_missing_file(tmp_path):
    with pytest.raises(MachineFileError, match=r"none\.json: cannot be read \(No such file"):
        read_machine(tmp_path / "none.json")


@pytest.mark.parametrize("content", [b"", b'{"schema": 1, "host": {"ar', b"\xff\xfe\x00", b"driver: 550"])
def test_a_file_that_is_no_json(tmp_path, content):
    file = tmp_path / "machine.json"
    file.write_bytes(content)
    with pytest.raises(MachineFileError, match="is not valid JSON"):
        read_machine(file)


def test_a_truncated_file_is_refused_at_every_length(tmp_path):
    whole = json.dumps({"schema": 1, "host": {"arch": "x86_64", "glibc": "2.28"}}).encode()
    file = tmp_path / "machine.json"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(MachineFileError):
            read_machine(file)
    file.write_bytes(whole)
    assert read_machine(file).host.glibc == "2.28"
