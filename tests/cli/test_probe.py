"""``verl-env probe``: text, JSON, and a recorded machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from verl_env.cli.main import main
from verl_env.machine.model import (
    UNKNOWN,
    Amd,
    AmdDevice,
    Host,
    Machine,
    Nvidia,
    NvidiaDevice,
    Problem,
    PythonInterpreter,
    Toolchain,
)
from verl_env.machine.record import machine_from_json

ROOT = Path(__file__).parents[2]
H100 = {"name": "NVIDIA H100", "compute_capability": "9.0", "memory_bytes": 80 << 30}
FULL = Machine(
    host=Host(os="rocky", os_version="9.4", arch="x86_64", glibc="2.34", cpus=96, memory_bytes=512 << 30),
    nvidia=Nvidia(
        driver="550.54.15",
        cuda="12.4",
        devices=(NvidiaDevice(0, **H100), NvidiaDevice(1, **H100), NvidiaDevice(2, "slice", mig=True)),
    ),
    amd=Amd(driver="6.8.5", rocm=None, devices=(AmdDevice(0, name=None, gfx="gfx942"),)),
    toolchain=Toolchain(nvcc="12.4.131", gcc=None, cuda_home="/usr/local/cuda"),
    pythons=(PythonInterpreter("3.10.14", "/opt/python/bin/python3.10"),),
    sources={"nvidia.driver": "nvml", "pythons[0]": "PATH"},
    problems=(Problem("nvidia-mixed-gpus", "two kinds of [GPU]"),),
)


@pytest.fixture
def found(monkeypatch):
    def replace(machine):
        monkeypatch.setattr("verl_env.machine.probe.probe", lambda **_: machine)

    return replace


def shown(capsys):
    """The lines of stdout, runs of spaces folded."""
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_every_fact_has_a_line(found, capsys):
    found(FULL)
    assert main(["probe"]) == 0
    assert shown(capsys) == [
        "system rocky 9.4",
        "kernel not known",
        "architecture x86_64",
        "glibc 2.34",
        "processors 96",
        "memory 512 GiB",
        "NVIDIA driver 550.54.15 nvml",
        "CUDA of it 12.4",
        "GPU 0-1 NVIDIA H100, compute capability 9.0, 80 GiB",
        "GPU 2 slice, compute capability not known, not known, MIG",
        "amdgpu driver 6.8.5",
        "ROCm none",
        "GPU 0 none, gfx942, not known",
        "nvcc 12.4.131",
        "CUDA_HOME /usr/local/cuda",
        "Python 3.10.14 /opt/python/bin/python3.10 PATH",
        "problem[nvidia-mixed-gpus]: two kinds of [GPU]",
        "hint: choose the GPUs of one kind through CUDA_VISIBLE_DEVICES, or describe them: --gpu NAME:COUNT",
    ]


def test_a_bare_machine(found, capsys):
    found(Machine(host=Host(glibc=None, musl="1.2.5", wsl=True, container="podman"), nvidia=None, amd=None, pythons=()))
    assert main(["probe"]) == 0
    lines = shown(capsys)
    assert {"musl 1.2.5", "WSL yes", "container podman", "NVIDIA none", "AMD none"} <= set(lines)
    assert lines[-1] == "Python none from 3.9 to 3.14"


def test_nothing_known(found, capsys):
    found(Machine())
    assert main(["probe"]) == 0
    assert {"NVIDIA not known", "AMD not known", "architecture not known"} <= set(shown(capsys))


def test_json(found, capsys):
    found(FULL)
    assert main(["probe", "--json"]) == 0
    assert machine_from_json(json.loads(capsys.readouterr().out)) == FULL


def test_a_recorded_machine_can_be_planned_for(found, capsys, tmp_path):
    found(FULL)
    file = tmp_path / "node.json"
    assert main(["probe", "-o", str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"--machine {file}" in captured.err
    assert machine_from_json(json.loads(file.read_text())) == FULL


def test_a_file_that_cannot_be_written(found, capsys, tmp_path):
    found(FULL)
    assert main(["probe", "-o", str(tmp_path / "missing" / "node.json")]) == 2
    assert "cannot be written: No such file" in capsys.readouterr().err


def test_the_probe_of_this_host_is_a_machine_that_can_be_read_back(capsys):
    assert main(["probe", "--json"]) == 0
    machine = machine_from_json(json.loads(capsys.readouterr().out))
    assert machine.host.arch is not UNKNOWN


def test_the_bare_form_loads_no_parser_and_starts_no_program(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from verl_env.cli.main import main;"
        "main(['probe', '--json']); print(*sys.modules, file=sys.stderr)"
    )
    bare = {"PATH": "/nowhere", "HOME": str(tmp_path)}
    command = [sys.executable, "-I", "-S", "-c", code]
    subprocess.run(command, env=bare, capture_output=True, check=True)  # asks the nvcc of the default place, if any
    done = subprocess.run(command, env=bare, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["schema"] == 1
    unneeded = {"argparse", "dataclasses", "pathlib", "threading", "rich", "ctypes", "verl_env.cli.parser"}
    assert not unneeded & set(done.stderr.split())


#: What ``probe --json`` may load on a host whose GPU is well, besides what an interpreter loads at its start.
LOADED = {
    "__future__",
    "_json",
    "_stat",
    "gc",
    "select",
    "stat",
    "time",
    "types",
    "verl_env",
    "verl_env.cli",
    "verl_env.cli.commands",
    "verl_env.cli.main",
    "verl_env.cli.probe",
    "verl_env.errors",
    "verl_env.records",
    "verl_env.versions",
}
HEALTHY = [
    ("init", {"code": 0}),
    ("driver", "580.65.06"),
    ("cuda", 13000),
    (
        "device",
        {
            "index": 0,
            "name": "NVIDIA H200",
            "uuid": "GPU-0",
            "cc": "9.0",
            "memory": 1 << 37,
            "address": "0:10:00.0",
            "device_id": "233510de",
            "compute_mode": "Default",
            "mig": False,
            "fabric": None,
        },
    ),
    ("libcuda", {"cuda": 13000, "path": "/x/libcuda.so.580.65.06"}),
    ("end", None),
]


def test_a_probe_of_a_healthy_host_loads_what_it_needs_and_no_more(tmp_path):
    (tmp_path / "bin").mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r});"
        "from verl_env.machine import python_places, toolchain; toolchain._DEFAULT_CUDA = '/nowhere';"
        "python_places._SYSTEM = python_places._CONDA_SYSTEM = ();"
        "from verl_env.machine.nvidia import nvml, nvml_child;"
        f"nvml._ask = lambda: [nvml_child.say(*said) for said in {HEALTHY!r}];"
        "from verl_env.cli.main import main; main(['probe', '--json']); print(*sys.modules, file=sys.stderr)"
    )
    bare = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=bare, capture_output=True, text=True, check=True
    )
    assert [device["name"] for device in json.loads(done.stdout)["nvidia"]["devices"]] == ["NVIDIA H200"]
    began = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys, os, ctypes; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split()) - set(began.stdout.split())
    assert {name for name in loaded if not name.startswith("verl_env.machine")} <= LOADED


def test_both_forms_say_the_same(capsys):
    assert main(["probe", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["probe", "--js"]) == 0
    assert json.loads(capsys.readouterr().out) == first
