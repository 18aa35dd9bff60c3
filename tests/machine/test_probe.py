"""The probe as a whole: parts side by side, joined, and never longer than its deadline."""

import stat
import time

import pytest

from verl_env.machine import probe as module
from verl_env.machine.model import UNKNOWN, Amd, Host, Machine, Nvidia, Problem, PythonInterpreter, Toolchain
from verl_env.machine.probe import join, probe, probe_without_gpus
from verl_env.machine.record import machine_from_json, machine_to_json
from verl_env.machine.roots import Roots


def test_join_takes_each_fact_from_the_part_that_knows_it():
    joined = join(
        [
            Machine(nvidia=Nvidia(driver="550.54.15"), sources={"nvidia.driver": "nvml"}),
            Machine(host=Host(arch="x86_64"), sources={"host.arch": "uname"}),
            Machine(amd=None, problems=(Problem("amd-driver-missing", "no driver"),)),
            Machine(toolchain=Toolchain(gcc="12.2.0")),
            Machine(pythons=(PythonInterpreter("3.10.1", "/usr/bin/python3.10"),)),
        ]
    )
    assert joined == Machine(
        host=Host(arch="x86_64"),
        nvidia=Nvidia(driver="550.54.15"),
        amd=None,
        toolchain=Toolchain(gcc="12.2.0"),
        pythons=(PythonInterpreter("3.10.1", "/usr/bin/python3.10"),),
        sources={"nvidia.driver": "nvml", "host.arch": "uname"},
        problems=(Problem("amd-driver-missing", "no driver"),),
    )


def test_of_two_parts_that_know_a_fact_the_first_counts():
    first, second = Machine(amd=Amd(rocm="6.3.0")), Machine(amd=None, sources={"amd": "later"})
    assert join([first, second]).amd == Amd(rocm="6.3.0")


def test_no_part_is_a_machine_of_which_nothing_is_known():
    assert join([]) == Machine()


def test_this_host():
    machine = probe()
    assert machine.host.arch is not UNKNOWN
    assert machine.nvidia is not UNKNOWN
    assert machine.amd is not UNKNOWN
    assert machine.toolchain is not UNKNOWN
    assert machine.pythons is not UNKNOWN
    assert "host.arch" in machine.sources
    assert machine_from_json(machine_to_json(machine)) == machine


def test_a_host_of_which_nothing_can_be_read(tmp_path):
    machine = probe(Roots(tmp_path), {"PATH": str(tmp_path)})
    assert machine.nvidia is None
    assert machine.amd is None
    assert machine.pythons == ()


def test_without_gpus_no_vendor_tool_runs(tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ntouch {ran}\n")
    tool.chmod(0o755)
    machine = probe_without_gpus(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (machine.nvidia, machine.amd) == (None, None)
    assert not ran.exists()


def test_without_gpus_the_tools_are_those_of_the_host(tmp_path):
    tool = tmp_path / "g++"
    tool.write_text("#!/bin/sh\necho 11.4.0\n")
    tool.chmod(0o755)
    machine = probe_without_gpus(environ={"PATH": f"{tmp_path}:/bin", "XDG_CACHE_HOME": str(tmp_path)})
    assert machine.toolchain.gxx == "11.4.0"
    assert machine.toolchain.paths["gxx"] == str(tool)


def test_it_ends_in_time_though_every_tool_hangs(tmp_path, monkeypatch):
    root, tools = tmp_path / "root", tmp_path / "tools"
    (root / "sys/module/nvidia").mkdir(parents=True)
    (root / "sys/module/nvidia/version").write_text("550.54.15\n")
    (root / "sys/class/kfd/kfd/topology/nodes/1").mkdir(parents=True)
    (root / "sys/class/kfd/kfd/topology/nodes/1/properties").write_text("simd_count 304\nvendor_id 4098\n")
    tools.mkdir()
    for name in ("nvidia-smi", "amd-smi", "rocm-smi", "rocminfo", "nvcc", "gcc", "g++", "hipcc", "cmake", "ninja"):
        (tools / name).write_text("#!/bin/sh\ntrap '' TERM\nsleep 300\n")
        (tools / name).chmod(stat.S_IRWXU)
    monkeypatch.setattr(module, "SECONDS", 1.0)
    started = time.monotonic()
    machine = probe(Roots(root), {"PATH": f"{tools}:/usr/bin:/bin"})
    assert time.monotonic() - started < 5
    assert machine.nvidia.driver == "550.54.15"
    assert machine.problems


def test_a_fault_in_a_part_is_not_swallowed(monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("verl_env.machine.pythons.probe_pythons", broken)
    with pytest.raises(ZeroDivisionError):
        probe()
