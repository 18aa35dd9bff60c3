"""The shared flags: which machine, and which lockset."""

import argparse
import json

import pytest

from verl_env.choose.model import Request
from verl_env.cli import options
from verl_env.errors import UsageError
from verl_env.machine.model import Host, Machine, Nvidia
from verl_env.machine.record import MachineFileError

RECORDED = {"schema": 1, "host": {"arch": "x86_64", "glibc": "2.28"}, "nvidia": {"driver": "535.54.03"}, "amd": None}


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(options.MACHINE_VARIABLE, raising=False)


@pytest.fixture
def recorded(tmp_path):
    file = tmp_path / "node.json"
    file.write_text(json.dumps(RECORDED))
    return str(file)


@pytest.fixture
def probes(monkeypatch):
    """What was probed, in place of probing it."""
    ran = []

    def fake(name, machine):
        monkeypatch.setattr(f"verl_env.machine.probe.{name}", lambda: ran.append(name) or machine)

    fake("probe", Machine(host=Host(glibc="2.35"), nvidia=Nvidia(driver="580.65.06")))
    fake("probe_without_gpus", Machine(host=Host(glibc="2.35", arch="x86_64"), nvidia=None, amd=None))
    return ran


def parse(*argv):
    parser = argparse.ArgumentParser()
    options.add_choice_arguments(parser)
    options.add_machine_arguments(parser)
    return parser.parse_args(["--stack", "vllm", *argv])


def test_a_request():
    args = parse("--verl", "0.4", "--lockset", "a/b", "--python", "3.10", "--preview")
    assert options.request_from(args) == Request(("vllm",), "0.4", "a/b", "3.10", preview=True)


@pytest.mark.parametrize(
    ("stack", "parts"),
    [("vllm", ("vllm",)), ("VLLM+SGLang", ("vllm", "sglang")), ("vllm + vllm+megatron", ("vllm", "megatron"))],
)
def test_stacks(stack, parts):
    assert options.request_from(parse("--stack", stack)).stack == parts


@pytest.mark.parametrize("stack", ["", "+", "vllm+", " "])
def test_a_stack_without_a_name_is_refused(stack):
    with pytest.raises(UsageError, match="names no stack"):
        options.request_from(parse("--stack", stack))


@pytest.mark.parametrize(
    ("text", "python"), [("3.10", "3.10"), ("3.10.13", "3.10"), ("python3.12", "3.12"), ("cp3.11", "3.11")]
)
def test_pythons(text, python):
    assert options.request_from(parse("--python", text)).python == python


@pytest.mark.parametrize("text", ["3", "three", "3.x", "", "cp310"])
def test_a_python_that_is_no_version_is_refused(text):
    with pytest.raises(UsageError, match="no version such as"):
        options.request_from(parse("--python", text))


def test_without_flags_the_machine_is_probed(probes):
    assert options.machine_from(parse()).nvidia == Nvidia(driver="580.65.06")
    assert probes == ["probe"]


def test_a_recorded_machine_is_not_probed(probes, recorded):
    assert options.machine_from(parse("--machine", recorded)).host.glibc == "2.28"
    assert probes == []


def test_the_variable_names_a_recorded_machine(probes, recorded, monkeypatch):
    monkeypatch.setenv(options.MACHINE_VARIABLE, recorded)
    assert options.machine_from(parse()).host.glibc == "2.28"
    assert probes == []


def test_the_variable_says_that_there_is_no_gpu(probes, monkeypatch):
    monkeypatch.setenv(options.MACHINE_VARIABLE, "none")
    machine = options.machine_from(parse())
    assert (machine.nvidia, machine.host.glibc) == (None, "2.35")
    assert probes == ["probe_without_gpus"]


def test_a_described_gpu_stands_on_this_host_without_looking_for_gpus(probes):
    machine = options.machine_from(parse("--gpu", "h100:2", "--driver", "550.54.15"))
    assert machine.nvidia.driver == "550.54.15"
    assert [device.compute_capability for device in machine.nvidia.devices] == ["9.0", "9.0"]
    assert machine.host.glibc == "2.35"
    assert probes == ["probe_without_gpus"]


@pytest.mark.parametrize("names", ["", ",", "h100,", " "])
def test_a_gpu_without_a_name_is_refused(names):
    with pytest.raises(UsageError, match="names no GPU"):
        options.machine_from(parse("--gpu", names))


def test_several_gpus_with_commas(probes):
    machine = options.machine_from(parse("--gpu", "h100:1, a100:1"))
    assert [device.compute_capability for device in machine.nvidia.devices] == ["9.0", "8.0"]


def test_a_flag_is_stronger_than_the_variable(probes, recorded, monkeypatch):
    monkeypatch.setenv(options.MACHINE_VARIABLE, recorded)
    machine = options.machine_from(parse("--driver", "550.54.15"))
    assert machine.nvidia.driver == "550.54.15"
    assert machine.host.glibc == "2.28"


def test_flags_replace_what_a_recorded_machine_says(recorded):
    machine = options.machine_from(parse("--machine", recorded, "--driver", "580.95.05"))
    assert (machine.nvidia.driver, machine.host.glibc) == ("580.95.05", "2.28")


@pytest.mark.parametrize("text", ["vllm+sglang", "vllm,sglang", "VLLM, sglang"])
def test_a_stack_is_written_with_plus_or_commas(text):
    args = argparse.Namespace(
        stack=text, verl=None, lockset=None, python=None, preview=False, native=None, wishes=[], machine="n.json"
    )
    assert options.request_from(args).stack == ("vllm", "sglang")
    assert options.request_from(args).described == ("--machine", "n.json")


def test_a_variable_that_names_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv(options.MACHINE_VARIABLE, str(tmp_path / "none.json"))
    with pytest.raises(MachineFileError):
        options.machine_from(parse())


@pytest.mark.parametrize(
    ("files", "there", "want"),
    [
        ((), False, "active"),
        ((), True, ".venv"),
        (("verl-env.json",), True, "active"),
        (("verl-env-pack.json",), True, "active"),
    ],
    ids=["nothing else is there", "the active one is the tool's", "the active one is ours", "the active one is a pack"],
)
def test_the_environment_that_is_meant(tmp_path, monkeypatch, files, there, want):
    monkeypatch.chdir(tmp_path)
    active = tmp_path / "active"
    active.mkdir()
    for name in files:
        (active / name).touch()
    if there:
        (tmp_path / ".venv").mkdir()
    monkeypatch.setenv("VIRTUAL_ENV", str(active))
    assert options.own_environment(None).name == want
    assert options.own_environment(tmp_path / "named").name == "named"
