"""Flags describe another machine over the facts of this one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.errors import EXIT_MISUSE, VerlEnvError
from verl_env.machine.describe import describe, with_tools_of
from verl_env.machine.errors import (
    MachineFlagConflictError,
    MachineFlagError,
    MachineFlagWithoutGpuError,
)
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
from verl_env.machine.record import machine_from_json, machine_to_json
from verl_env.machine.tables import gpu_names
from verl_env.records import replace

from .strategies import machines

HERE = Machine(
    host=Host(os="debian", os_version="12", arch="x86_64", glibc="2.36", musl=None, cpus=2),
    nvidia=Nvidia(driver="470.82.01", cuda="11.4", devices=(NvidiaDevice(index=0, compute_capability="3.7"),)),
    amd=None,
    toolchain=Toolchain(gcc="12.2.0"),
    pythons=(PythonInterpreter("3.11.2", "/usr/bin/python3"),),
    sources={
        "host.glibc": "confstr",
        "host.arch": "uname",
        "nvidia.driver": "nvml",
        "nvidia.cuda": "nvml",
        "amd": "kfd",
    },
    problems=(Problem("nvidia-device-lost", "GPU 3"), Problem("python-shadowed", "x")),
)
NO_GPU = replace(HERE, nvidia=None)
ASKED = replace(HERE, sources={"toolchain.gcc": "gcc --version"}, problems=(Problem("tool-failed", "/bin/nvcc"),))


def devices(machine: Machine) -> tuple[NvidiaDevice, ...]:
    assert isinstance(machine.nvidia, Nvidia)
    return machine.nvidia.devices


def amd_devices(machine: Machine) -> tuple[AmdDevice, ...]:
    assert isinstance(machine.amd, Amd)
    return machine.amd.devices


def test_nothing_given_changes_nothing() -> None:
    assert describe(HERE) == HERE


def test_named_gpus_replace_the_gpu_side_and_nothing_else() -> None:
    machine = describe(HERE, gpus=["h100-80gb:2"], driver="550.54.15")
    assert machine.nvidia == Nvidia(
        driver="550.54.15",
        cuda="12.4",
        devices=tuple(
            NvidiaDevice(
                index=index,
                name="NVIDIA H100 80GB HBM3",
                compute_capability="9.0",
                memory_bytes=81559 << 20,
                mig=False,
            )
            for index in range(2)
        ),
    )
    assert machine.amd is None
    assert (machine.host, machine.pythons) == (HERE.host, HERE.pythons)


def test_replaced_facts_name_the_flag_and_kept_facts_their_source() -> None:
    machine = describe(HERE, gpus=["h100"], driver="550.54.15", glibc="2.28")
    assert machine.sources == {
        "host.glibc": "flag",
        "host.arch": "uname",
        "nvidia.devices": "flag",
        "nvidia.driver": "flag",
        "nvidia.cuda": "implied by driver 550.54.15",
        "amd": "flag",
    }


def test_a_driver_of_this_host_says_nothing_about_another() -> None:
    machine = describe(HERE, gpus=["h100"])
    assert machine.nvidia == Nvidia(devices=devices(machine))
    assert "nvidia.driver" not in machine.sources


def test_problems_of_the_own_gpus_go_and_others_stay() -> None:
    assert [problem.id for problem in describe(HERE, gpus=["h100"]).problems] == ["python-shadowed"]
    assert describe(HERE, driver="580.65.06").problems == HERE.problems


def test_mixed_gpus_are_numbered_in_the_order_given() -> None:
    found = devices(describe(NO_GPU, gpus=["h100:2", "a100"]))
    assert [(gpu.index, gpu.compute_capability) for gpu in found] == [(0, "9.0"), (1, "9.0"), (2, "8.0")]


def test_two_vendors_are_numbered_apart() -> None:
    machine = describe(NO_GPU, gpus=["h100", "mi300x:2"], driver="580.65.06", rocm="6.3.4")
    assert [gpu.index for gpu in devices(machine)] == [0]
    assert [(gpu.index, gpu.gfx) for gpu in amd_devices(machine)] == [(0, "gfx942"), (1, "gfx942")]
    assert isinstance(machine.nvidia, Nvidia)
    assert isinstance(machine.amd, Amd)
    assert (machine.nvidia.driver, machine.amd.driver, machine.amd.rocm) == ("580.65.06", UNKNOWN, "6.3.4")


def test_an_architecture_has_no_name() -> None:
    (gpu,) = devices(describe(NO_GPU, gpus=["sm_90"]))
    assert (gpu.name, gpu.compute_capability, gpu.memory_bytes) == (UNKNOWN, "9.0", UNKNOWN)
    (card,) = amd_devices(describe(NO_GPU, gpus=["gfx90a"]))
    assert (card.name, card.gfx, card.memory_bytes) == (UNKNOWN, "gfx90a", UNKNOWN)


def test_memory_is_known_where_a_card_was_seen() -> None:
    machine = describe(NO_GPU, gpus=["h100", "h200", "mi210", "mi300x"])
    assert [gpu.memory_bytes for gpu in devices(machine)] == [UNKNOWN, 143771 << 20]
    assert [gpu.memory_bytes for gpu in amd_devices(machine)] == [65520 << 20, UNKNOWN]


@pytest.mark.parametrize("text", ["none", "NONE", " none "])
def test_a_machine_without_gpu(text: str) -> None:
    machine = describe(HERE, gpus=[text])
    assert machine.nvidia is None
    assert machine.amd is None
    assert machine.sources["nvidia"] == machine.sources["amd"] == "flag"


def test_an_amd_machine() -> None:
    machine = describe(HERE, gpus=["mi300x:8"], driver="6.10.5", rocm="6.3.4")
    assert machine.nvidia is None
    assert isinstance(machine.amd, Amd)
    assert (machine.amd.driver, machine.amd.rocm, len(machine.amd.devices)) == ("6.10.5", "6.3.4", 8)
    assert machine.sources["amd.driver"] == machine.sources["amd.rocm"] == "flag"


def test_a_driver_alone_keeps_the_gpus() -> None:
    machine = describe(HERE, driver="550.54.15")
    assert devices(machine) == devices(HERE)
    assert isinstance(machine.nvidia, Nvidia)
    assert (machine.nvidia.driver, machine.nvidia.cuda) == ("550.54.15", "12.4")


def test_a_driver_of_a_branch_without_a_table_row_leaves_cuda_unknown() -> None:
    machine = describe(NO_GPU, gpus=["h100"], driver="565.57.01")
    assert isinstance(machine.nvidia, Nvidia)
    assert machine.nvidia.cuda is UNKNOWN


def test_a_glibc_is_no_musl() -> None:
    musl = replace(HERE, host=replace(HERE.host, glibc=None, musl="1.2.5"))
    assert describe(musl, glibc="2.17").host == replace(HERE.host, glibc="2.17", musl=None)


@pytest.mark.parametrize("name", ["gh200", "gb200", "gb300", "gb10", "orin", "gh200-120gb"])
def test_a_gpu_of_one_architecture_sets_it(name: str) -> None:
    machine = describe(HERE, gpus=[name])
    assert machine.host.arch == "aarch64"
    assert machine.sources["host.arch"].startswith("implied by g") or name == "orin"


@pytest.mark.parametrize("name", ["h100", "b200", "mi300a", "sm_90", "none"])
def test_other_gpus_leave_the_architecture(name: str) -> None:
    machine = describe(HERE, gpus=[name])
    assert (machine.host.arch, machine.sources["host.arch"]) == ("x86_64", "uname")


@pytest.mark.parametrize(
    ("given", "arch"),
    [("aarch64", "aarch64"), ("arm64", "aarch64"), ("ARM64", "aarch64"), ("x86_64", "x86_64"), ("amd64", "x86_64")],
)
def test_the_architecture_given_counts(given: str, arch: str) -> None:
    machine = describe(HERE, gpus=["h100"], arch=given)
    assert (machine.host.arch, machine.sources["host.arch"]) == (arch, "flag")


def test_the_architecture_of_the_gpu_may_be_repeated() -> None:
    assert describe(HERE, gpus=["gh200"], arch="aarch64").sources["host.arch"] == "flag"


def test_a_gpu_does_not_come_with_another_architecture() -> None:
    with pytest.raises(MachineFlagConflictError) as caught:
        describe(HERE, gpus=["h100", "gh200"], arch="amd64")
    assert "gh200" in caught.value.message
    assert "aarch64" in caught.value.hint


@pytest.mark.parametrize("flag", ["driver", "rocm", "glibc"])
@pytest.mark.parametrize(
    "value", ["", "abc", "550.", ".5", "5..0", "550.54.15-open", "-1", "1 2", "\u0665.1", "9" * 5000]
)
def test_a_version_must_be_a_dotted_number(flag: str, value: str) -> None:
    flags: dict[str, Any] = {flag: value}
    with pytest.raises(MachineFlagError) as caught:
        describe(HERE, gpus=["h100", "mi300x"], **flags)
    error = caught.value
    assert error.flag == f"--{flag}"
    assert error.message.startswith(f"--{flag} {value}")
    assert (error.id, error.exit_code) == ("machine-flag-invalid", EXIT_MISUSE)
    assert describe(HERE, gpus=["h100", "mi300x"], **{flag: error.example})


@pytest.mark.parametrize("arch", ["", "x86", "ppc64le", "riscv64"])
def test_an_architecture_that_nothing_is_built_for(arch: str) -> None:
    with pytest.raises(MachineFlagError) as caught:
        describe(HERE, arch=arch)
    assert "x86_64 or aarch64" in caught.value.message


@pytest.mark.parametrize(
    ("gpus", "flags", "hint"),
    [
        (["none"], {"driver": "550.54.15"}, "--gpu h100 --driver 550.54.15"),
        ([], {"driver": "550.54.15"}, "--gpu h100 --driver 550.54.15"),
        (["none"], {"rocm": "6.3"}, "--gpu mi300x --rocm 6.3"),
        (["h100"], {"rocm": "6.3"}, "--gpu mi300x --rocm 6.3"),
    ],
)
def test_a_version_needs_a_gpu_to_belong_to(gpus: list[str], flags: dict[str, Any], hint: str) -> None:
    with pytest.raises(MachineFlagWithoutGpuError) as caught:
        describe(NO_GPU, gpus=gpus, **flags)
    assert hint in caught.value.hint
    assert caught.value.exit_code == EXIT_MISUSE


def test_what_is_not_known_of_the_base_stays_unknown() -> None:
    machine = describe(Machine(), gpus=["h100"])
    assert machine.host == Host()
    assert machine.toolchain is UNKNOWN
    with pytest.raises(MachineFlagWithoutGpuError):
        describe(Machine(), driver="550.54.15")


names = st.sampled_from([gpu.name for gpu in gpu_names()] + ["sm_90", "gfx942"])
requests = st.lists(st.builds("{}:{}".format, names, st.integers(1, 3)), min_size=1, max_size=3) | st.just(["none"])


@given(machines, requests)
def test_a_description_can_be_recorded_and_read_again(base: Machine, gpus: list[str]) -> None:
    machine = describe(base, gpus=gpus)
    assert machine_from_json(json.loads(json.dumps(machine_to_json(machine)))) == machine


@given(machines, requests)
def test_describing_twice_is_describing_once(base: Machine, gpus: list[str]) -> None:
    once = describe(base, gpus=gpus)
    assert describe(once, gpus=gpus) == once


@given(st.lists(st.text(max_size=12), max_size=3), *[st.none() | st.text("0123456789.x", max_size=8)] * 3)
def test_any_flags_give_a_machine_or_a_worded_error(
    gpus: list[str], driver: str | None, rocm: str | None, glibc: str | None
) -> None:
    try:
        outcome: Machine | VerlEnvError = describe(HERE, gpus=gpus, driver=driver, rocm=rocm, glibc=glibc)
    except VerlEnvError as error:
        outcome = error
    assert isinstance(outcome, Machine) or (outcome.exit_code == EXIT_MISUSE and outcome.message and outcome.hint)


@pytest.mark.parametrize("flags", [{"glibc": "2.28"}, {"gpus": ["h100"]}, {"gpus": ["mi300x"], "arch": "x86_64"}])
def test_another_machine_of_this_architecture_can_be_built_for_here(flags: dict[str, Any]) -> None:
    machine = with_tools_of(describe(ASKED, **flags), ASKED)
    assert machine.toolchain == HERE.toolchain
    assert machine.sources["toolchain.gcc"] == "gcc --version"
    assert [problem.id for problem in machine.problems] == ["tool-failed"]


def test_this_host_without_its_gpus_keeps_its_tools() -> None:
    assert describe(ASKED, gpus=["none"]).toolchain == HERE.toolchain


@pytest.mark.parametrize("flags", [{"glibc": "2.28"}, {"gpus": ["h100"]}, {"gpus": ["none"], "glibc": "2.28"}])
def test_of_the_tools_of_a_described_machine_nothing_is_known(flags: dict[str, Any]) -> None:
    machine = describe(ASKED, **flags)
    assert machine.toolchain is UNKNOWN
    assert machine.problems == ()


@pytest.mark.parametrize("flags", [{"arch": "aarch64"}, {"gpus": ["gh200"]}])
def test_of_the_tools_of_another_architecture_nothing_is_known(flags: dict[str, Any]) -> None:
    machine = with_tools_of(describe(ASKED, **flags), ASKED)
    assert machine.toolchain is UNKNOWN
    assert "toolchain.gcc" not in machine.sources
    assert machine.problems == ()
