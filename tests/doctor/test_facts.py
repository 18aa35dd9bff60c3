"""Queries answer for what is known, and only for that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.doctor.commands import Shell, remedy
from verl_env.doctor.facts import Facts, flavour_of_version
from verl_env.doctor.ingest.flavour import flavour_of_packages
from verl_env.doctor.model import Fix
from verl_env.machine.model import UNKNOWN, Amd, AmdDevice, Machine, Nvidia, NvidiaDevice


def test_three_states_of_a_package() -> None:
    partial = Facts(packages={"torch": "2.6.0", "vllm": None})
    whole = Facts(packages={"torch": "2.6.0"}, packages_complete=True)

    assert partial.installed("torch", "vllm")
    assert partial.version("vllm") is None
    assert not partial.absent("numpy")
    assert whole.absent("numpy")
    assert not whole.absent("Torch")
    assert partial.named("torch") == "torch 2.6.0"
    assert partial.named("vllm") == "vllm"


def test_versions_match_specifiers() -> None:
    facts = Facts(packages={"torch": "2.6.0+cu124", "x": "not a version", "rc": "1.0rc1"})

    assert facts.matches("torch", "==2.6.0")
    assert facts.matches("Torch", ">=2.6,<2.7")
    assert facts.matches("rc", "<1.1")
    assert not facts.matches("x", ">=0")
    assert not facts.matches("unknown", ">=0")


def test_variables() -> None:
    partial = Facts(environment={"A": "1", "B": ""})

    assert partial.variable("A") == "1"
    assert partial.variable("B") is None
    assert partial.unset("B")
    assert not partial.unset("C")
    assert Facts(environment_complete=True).unset("C")


def test_machine() -> None:
    nvidia = Nvidia(
        driver="550.54.15",
        devices=tuple(NvidiaDevice(i, compute_capability=c) for i, c in enumerate(["9.0", "8.0", "9.0"])),
    )
    facts = Facts(machine=Machine(nvidia=nvidia, amd=Amd(devices=(AmdDevice(0, gfx="gfx942"),))))

    assert facts.driver == "550.54.15"
    assert facts.capabilities == ("8.0", "9.0")
    assert facts.gfx == ("gfx942",)
    assert facts.has_nvidia_gpu
    assert facts.has_amd_gpu
    assert Facts().capabilities == ()
    assert not Facts(machine=Machine(nvidia=None)).has_nvidia_gpu


@pytest.mark.parametrize(
    ("version", "flavour"),
    [
        ("2.6.0+cu124", "12.4"),
        ("2.6.0+cu118", "11.8"),
        ("2.11.0+cu130", "13.0"),
        ("2.6.0+rocm6.2.4", "rocm6.2.4"),
        ("2.6.0+cpu", "cpu"),
        ("2.6.0+cpu.cxx11.abi", "cpu"),
        ("2.6.0", UNKNOWN),
        ("2.6.0a0+ecf3bae40a.nv25.01", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_flavour_of_a_version(version: str | None, flavour: object) -> None:
    assert flavour_of_version(version) == flavour


@pytest.mark.parametrize(
    ("packages", "flavour"),
    [
        ({"torch": "2.6.0"}, "12.4"),
        ({"torch": "2.11.0"}, "13.0"),
        ({"torch": "2.7.0", "nvidia-cuda-runtime-cu12": "12.8.57"}, "12.8"),
        ({"torch": "2.6.0", "nvidia-cuda-runtime-cu11": "11.8.89", "nvidia-cuda-runtime-cu12": "12.4.127"}, UNKNOWN),
        ({"torch": "2.6.0+cpu", "nvidia-cuda-runtime-cu12": "12.4.127"}, "cpu"),
        ({"torch": "1.0.0"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_flavour_of_a_list(packages: dict[str, str | None], flavour: object) -> None:
    assert flavour_of_packages(packages) == flavour


def test_cuda_of_a_flavour() -> None:
    assert (Facts(torch_flavour="12.4").cuda, Facts(torch_flavour="12.4").cuda_major) == ("12.4", 12)
    assert Facts(torch_flavour="rocm6.2").cuda is None
    assert Facts(torch_flavour="rocm6.2").rocm_torch
    assert Facts().cuda_major is None


@pytest.mark.parametrize(
    ("shell", "install", "uninstall"),
    [
        (Shell(), "pip install --no-deps x", "pip uninstall -y x"),
        (
            Shell("pip", "/e/bin/python"),
            "/e/bin/python -m pip install --no-deps x",
            "/e/bin/python -m pip uninstall -y x",
        ),
        (Shell("uv"), "uv pip install --no-deps x", "uv pip uninstall x"),
        (Shell("uv", "/e e/p"), "uv pip install --python '/e e/p' --no-deps x", "uv pip uninstall --python '/e e/p' x"),
    ],
)
def test_commands(shell: Shell, install: str, uninstall: str) -> None:
    assert shell.install("x") == install
    assert shell.uninstall("x") == uninstall


def test_options_of_commands() -> None:
    assert "--reinstall --no-cache --no-build-isolation" in Shell("uv").install("x", reinstall=True, build=True)
    assert "--force-reinstall --no-cache-dir" in Shell("pip").install("x", reinstall=True, build=True)
    assert "--no-deps" not in Shell("pip").install("x", deps=True)


def test_remedy_of_a_fix() -> None:
    made = remedy(Shell("uv"), "text", Fix(uninstall=("a",), install=("b==1",)), before=("first",))

    assert made.commands == ("first", "uv pip uninstall a", "uv pip install --no-deps b==1")
    assert made.fix is not None
    assert remedy(Shell(), "text", Fix(install=("b",)), safe=False).fix is None


@given(st.text(max_size=20), st.sampled_from(["==1", ">=2,<3", "<4.54"]))
def test_no_version_text_crashes(version: str, specifier: str) -> None:
    assert Facts(packages={"x": version}).matches("x", specifier) in {True, False}
