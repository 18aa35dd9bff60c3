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


def test_the_bare_form_loads_no_parser_and_starts_no_program():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from verl_env.cli.main import main;"
        "main(['probe', '--json']); print(*sys.modules, file=sys.stderr)"
    )
    bare = {"PATH": "/nowhere", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=bare, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["schema"] == 1
    unneeded = {"argparse", "dataclasses", "pathlib", "threading", "rich", "ctypes", "verl_env.cli.parser"}
    assert not unneeded & set(done.stderr.split())


def test_both_forms_say_the_same(capsys):
    assert main(["probe", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["probe", "--js"]) == 0
    assert json.loads(capsys.readouterr().out) == first
