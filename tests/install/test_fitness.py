"""A plan or an environment that was made for one machine, on another one."""

import pytest

from tests.install.plans import plan
from verl_env.environment.state import State
from verl_env.install import fitness
from verl_env.install.fitness import misfits_of_plan, misfits_of_state
from verl_env.locksets import catalogue
from verl_env.locksets.model import DriverNeed, GlibcNeed, GpuNeed, Requirements
from verl_env.machine.model import Amd, AmdDevice, Host, Machine, Nvidia, NvidiaDevice
from verl_env.machine.record import deciding_facts
from verl_env.records import replace


def machine(driver="580.65.06", capability="9.0", glibc="2.35", arch="x86_64"):
    device = NvidiaDevice(0, name="GPU", compute_capability=capability)
    return Machine(Host(arch=arch, glibc=glibc), Nvidia(driver, devices=(device,)), amd=None)


NODE = machine()
PLAN = plan([])
LOCKSET = replace(
    PLAN.lockset,
    accelerator="cuda",
    cuda="12.8",
    requires=Requirements(
        arch=("x86_64",),
        gpu=(GpuNeed("torch 2.7", ("8.0", "9.0"), None, False, "a test"), GpuNeed("fast", ("9.0",), None, False, "x")),
        driver=DriverNeed("525.60.13", "570.26", "a test"),
        glibc=GlibcNeed("2.28", "a.whl"),
    ),
)


def found(here, **changes):
    made = replace(PLAN, lockset=LOCKSET, stack="demo", **changes)
    return misfits_of_plan(made, NODE, here)


@pytest.mark.parametrize(
    ("here", "requirement", "need", "have", "planned"),
    [
        (machine(driver="450.80.02"), "driver", "525.60.13", "450.80.02", "580.65.06"),
        (machine(glibc="2.17"), "glibc", "2.28", "2.17", "2.35"),
        (machine(arch="aarch64"), "arch", "x86_64", "aarch64", "x86_64"),
        (machine(capability="7.0"), "compute-capability", "8.0", "7.0", "9.0"),
        (
            replace(NODE, nvidia=None, amd=Amd("6.3", "6.3.0", (AmdDevice(0, "MI300X", "gfx942"),))),
            "accelerator",
            "NVIDIA GPU",
            "MI300X",
            "NVIDIA GPU",
        ),
    ],
)
def test_what_a_machine_lacks_is_said_with_need_and_have(here, requirement, need, have, planned):
    first = found(here)[0]
    assert first.requirement == requirement
    assert need in first.need
    assert have in first.have.replace("sm_70", "7.0")
    assert first.planned == planned
    assert first.need in first.text
    assert first.have in first.text
    assert set(first.to_json()) == {"requirement", "need", "have", "planned", "message"}


@pytest.mark.parametrize(
    "here",
    [
        NODE,
        machine(driver="535.104.05"),
        replace(NODE, nvidia=None),
        replace(NODE, host=Host()),
        Machine(),
    ],
    ids=["same", "older, and it does", "no GPU", "host unknown", "nothing known"],
)
def test_what_fits_or_is_not_known_is_nothing(here):
    assert found(here) == ()


def state(**changes):
    values = {"path": "/env", "lockset": LOCKSET.id, "stack": "demo", "python": PLAN.python, "digest": ""}
    return State(**values, **{"verl_source": None, "left_out": {}, "checks": (), **changes})


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(catalogue, "load_catalogue", lambda: (LOCKSET,))


@pytest.mark.usefixtures("known")
def test_an_environment_remembers_the_machine_that_it_was_planned_for():
    made = state(machine=deciding_facts(NODE))
    (misfit,) = misfits_of_state(made, machine(driver="470.1"))
    assert (misfit.requirement, misfit.planned) == ("driver", "580.65.06")
    assert misfits_of_state(made, NODE) == ()
    assert misfits_of_state(state(), machine(driver="470.1"))[0].planned is None


@pytest.mark.usefixtures("known")
def test_a_component_that_was_left_out_limits_nothing():
    assert [each.requirement for each in misfits_of_state(state(), machine(capability="8.0"))] == ["compute-capability"]
    assert misfits_of_state(state(left_out={"fast": "skipped"}), machine(capability="8.0")) == ()


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("built", "targets", "here", "fits"),
    [
        (["9.0"], "90", "9.0", True),
        (["8.0"], "80", "8.6", True),
        (["8.0"], "80", "9.0", False),
        (["8.0"], "8.0+PTX", "9.0", True),
        ([], None, "9.0", True),
    ],
)
def test_what_was_built_for_other_gpus(built, targets, here, fits):
    made = state(left_out={"fast": "built"}, facts={"slow": {"gpus": built, "targets": targets}})
    misfits = misfits_of_state(made, machine(capability=here))
    assert (misfits == ()) is fits
    if not fits:
        assert "slow was built for compute capability 8.0 and has no code for 9.0" in misfits[0].text


def test_a_lockset_that_nobody_knows_any_more_is_no_misfit(monkeypatch):
    monkeypatch.setattr(catalogue, "load_catalogue", lambda: ())
    assert misfits_of_state(state(), machine(driver="1.0")) == ()


def test_only_what_keeps_imports_from_working_is_of_the_host():
    assert [each.of_host for each in found(machine(glibc="2.17"))] == [True]
    assert [each.of_host for each in found(machine(driver="450.80.02"))] == [False]
    assert fitness._OF_HOST == ("arch", "platform", "glibc")
