"""An environment with the right versions is the wrong one where a component was built for something else."""

import json
import shutil

import pytest

from tests.builds.worlds import Yard
from tests.install.plans import Recorder, lockset, plan, wheel
from tests.install.plans import native as locked
from tests.install.wheels import House
from verl_env.builds.staleness import DECIDING, stale_builds
from verl_env.environment.state import State, read_state, write_state
from verl_env.environment.target import open_target
from verl_env.install.inspect import inspect
from verl_env.machine.model import UNKNOWN, Nvidia, NvidiaDevice
from verl_env.records import replace

FOR_GPUS = {"arch_variable": "TORCH_CUDA_ARCH_LIST"}


def gpus(yard, *capabilities, nvcc="12.4.131"):
    devices = tuple(NvidiaDevice(number, compute_capability=each) for number, each in enumerate(capabilities))
    yard.machine = replace(yard.machine, nvidia=Nvidia(devices=devices) if devices else None)
    yard.tools(nvcc=nvcc)


def yard_at(place, monkeypatch):
    (place / "project").mkdir(exist_ok=True)
    return Yard(place, House(place / "wheelhouse"), place / "project" / ".venv", monkeypatch)


def build_for_gpus(yard):
    yard.sdist("demo-ext")
    return yard.build("demo-ext", **FOR_GPUS)


@pytest.fixture
def built(snapshots, monkeypatch):
    """A component that is compiled for GPUs, built into the environment for 9.0: once, and put back for each test."""

    if shutil.which("g++") is None:
        pytest.skip("no g++")

    def make(place):
        yard = yard_at(place, monkeypatch)
        yard.install(build_for_gpus(yard))

    yard = yard_at(snapshots.restore("staleness", make), monkeypatch)
    return yard, build_for_gpus(yard)


@pytest.fixture
def yard(built):
    return built[0]


@pytest.fixture
def build(built):
    return built[1]


def seen(yard, *builds):
    from tests.install.plans import options

    settings = options(yard.tmp_path, machine=yard.machine)
    return inspect(yard.plan(*builds), open_target(yard.path), settings)


def test_what_was_built_is_recorded(yard, build):
    facts = read_state(yard.path).facts["demo-ext"]
    assert facts["targets"] == "9.0"
    assert facts["gpus"] == ["9.0"]
    assert facts["torch"] == "2.6.0"
    assert set(facts) == {*DECIDING, "targets", "gpus", "source_sha256"}


@pytest.mark.parametrize("others", [["9.0"], ["9.0", "9.0"], []])
def test_the_same_gpus_or_none_that_is_known_change_nothing(yard, build, others):
    gpus(yard, *others)
    assert not yard.install(build).done


def test_other_gpus_are_built_for(yard, build):
    gpus(yard, "8.0", "9.0")
    (change,) = seen(yard, build).changes
    assert (change.kind, change.name) == ("~", "demo-ext")
    assert change.new == "1.0 (it was built for 9.0, not for 8.0)"
    recorder = Recorder()
    assert yard.install(build, recorder=recorder).done
    assert recorder.built
    assert read_state(yard.path).facts["demo-ext"]["targets"] == "8.0;9.0"
    gpus(yard, "8.0")
    assert not yard.install(build).done


def test_a_repair_keeps_the_record(yard, build):
    before = read_state(yard.path).facts
    (next(yard.site.glob("torch-*.dist-info")) / "METADATA").unlink()
    yard.install(build)
    assert read_state(yard.path).facts == before


def test_a_gpu_that_nvcc_does_not_know_is_built_for_once_it_does(yard, build, monkeypatch):
    from verl_env.components.model import CapabilityRange

    ranges = (CapabilityRange("10.0", "12.8", None, "a table"),)
    catalogue = yard.catalogue
    monkeypatch.setattr("verl_env.components.load.load_catalogue", lambda: replace(catalogue(), capabilities=ranges))
    gpus(yard, "10.0", "9.0")
    assert seen(yard, build).complete
    gpus(yard, "10.0", "9.0", nvcc="12.8.61")
    assert not seen(yard, build).complete
    gpus(yard, "10.0", "9.0", nvcc=None)
    assert not seen(yard, build).complete


def test_a_gpu_that_was_asked_for_and_could_not_be_built_for_is_not_asked_for_again(yard, build):
    state = read_state(yard.path)
    facts = {**state.facts["demo-ext"], "gpus": ["10.0", "9.0"]}
    write_state(yard.path, replace(state, facts={"demo-ext": facts}))
    gpus(yard, "10.0", "9.0")
    yard.machine = replace(yard.machine, toolchain=UNKNOWN)
    assert seen(yard, build).complete


def test_what_has_no_targets_to_choose_is_for_all(yard):
    build = yard.sdist("demo-ext")
    yard.install(build)
    gpus(yard, "8.0")
    assert not yard.install(build).done


@pytest.mark.parametrize(
    "recipe", [{"env": {"DEMO": "2"}}, {"settings": ("--a=b",)}, {"source": "https://example.org/demo.tar.gz"}]
)
def test_another_recipe_is_another_build(yard, build, recipe):
    other = yard.build("demo-ext", **FOR_GPUS, **recipe)
    assert [change.name for change in seen(yard, other).changes] == ["demo-ext"]


def test_other_compilers_and_build_requirements_are_no_reason(yard, build):
    yard.tools(gcc="13.2.0", gxx="13.2.0", nvcc="12.6.20")
    other = yard.build("demo-ext", **FOR_GPUS, requires=("ninja",), minutes=9, notes=("a note",))
    assert seen(yard, other).complete


def test_another_torch_is_another_build(yard, build):
    yard.packages = [yard.house.add("torch", "2.7.0", {"torch/__init__.py": "__version__ = '2.7.0'\n"})]
    assert [change.name for change in seen(yard, build).changes] == ["demo-ext", "torch"]
    recorder = Recorder()
    yard.install(build, recorder=recorder)
    assert recorder.built
    assert read_state(yard.path).facts["demo-ext"]["torch"] == "2.7.0"


def test_an_environment_of_before_this_was_recorded_is_left_as_it_is(yard, build):
    write_state(yard.path, replace(read_state(yard.path), facts={}, ways={}))
    gpus(yard, "8.0")
    assert seen(yard, build).complete


def state_with(ways):
    return State("/e/.venv", "verl0.1/demo", "vllm", "3.10", "d", None, {}, (), ways=ways)


def test_a_published_wheel_for_another_torch_has_the_same_version():
    urls = [f"https://h/torch{torch}/flash_attn-2.7.4-cp310-cp310-linux_x86_64.whl" for torch in ("2.6", "2.7")]
    lock = lockset(natives=(locked(wheels=[wheel(urls[1])]),))
    made = plan([], lock=lock)
    assert made.natives[0].wheel.url == urls[1]
    assert stale_builds(made, state_with({}), None) == {}
    assert stale_builds(made, state_with({"flash-attn": f"2.7.4 from {urls[1]}"}), None) == {}
    assert stale_builds(made, state_with({"flash-attn": f"2.7.4 from {urls[0]}"}), None) == {
        "flash-attn": f"it was 2.7.4 from {urls[0]}"
    }
    other = replace(made.natives[0], wheel=wheel(urls[0]), others=())
    either = replace(made, natives=(replace(made.natives[0], others=(other,)),))
    assert stale_builds(either, state_with({"flash-attn": f"2.7.4 from {urls[0]}"}), None) == {}


def test_facts_come_back_from_the_file_as_they_are_compared(yard, build):
    text = json.loads((yard.path / "verl-env.json").read_text())
    assert text["facts"]["demo-ext"] == read_state(yard.path).facts["demo-ext"]
    assert stale_builds(yard.plan(build), read_state(yard.path), yard.machine) == {}
