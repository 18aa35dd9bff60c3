"""Wheels whose glibc nobody has measured, on systems that are older than where they were made."""

import pytest

from tests.choose.resolver import world
from tests.choose.resolver.world import cuda_recipe, machine, wheel
from verl_env.choose.choose import choose
from verl_env.choose.facts import facts_of
from verl_env.choose.model import Choice, Request
from verl_env.choose.resolver.candidates import CandidateSource, ComponentCandidates
from verl_env.choose.resolver.environments import environments_of
from verl_env.choose.resolver.facts import GLIBC, machine_facts, met
from verl_env.choose.resolver.model import ComponentRequirement, Need
from verl_env.choose.resolver.needs import wheel_needs
from verl_env.components.model import Catalogue, Component, Release
from verl_env.locksets.catalogue import load_catalogue
from verl_env.machine.model import UNKNOWN
from verl_env.machine.record import machine_from_json
from verl_env.records import replace

OLD, NEW = "verl0.4-cu124-torch2.6-fa2.7.4/app.vllm.mcore0.12", "verl0.9.1-cu130/uv.vllm"
DRIVERS = {OLD: "550.54.15", NEW: "580.95.05"}
WORDS = "its wheel was made where glibc is {}, and whether it needs one as new is not measured"


def found(lockset, glibc, native, tools):
    """What is chosen of one lockset on a machine with an H100."""
    described = machine_from_json(
        {
            "schema": 1,
            "host": {"arch": "x86_64", "glibc": glibc},
            "nvidia": {"driver": DRIVERS[lockset], "devices": [{"compute_capability": "9.0"}]},
            "toolchain": {"nvcc": None, "gcc": None, **tools},
        }
    )
    shipped = [each for each in load_catalogue() if each.id == lockset]
    choice = choose(shipped, described, Request(("vllm",), native=native))
    assert isinstance(choice, Choice)
    return next(build for build in choice.builds if build.name == "flash-attn")


@pytest.mark.parametrize(
    ("lockset", "glibc", "made_on"),
    [
        (OLD, "2.28", "2.31"),
        (OLD, "2.31", None),
        (NEW, "2.34", None),
        (NEW, "2.39", None),
    ],
)
@pytest.mark.parametrize("native", [None, "prebuilt"])
def test_a_wheel_that_may_need_a_newer_glibc_is_taken_with_a_warning(lockset, glibc, made_on, native):
    build = found(lockset, glibc, native, {})
    assert build.how == "prebuilt"
    doubts = [warning for warning in build.warnings if "is not measured" in warning]
    assert [doubt.partition(": ")[2] for doubt in doubts] == ([WORDS.format(made_on)] if made_on else [])


@pytest.mark.parametrize(
    ("lockset", "glibc", "nvcc"),
    [(OLD, "2.28", "12.4.131"), (NEW, "2.34", "13.0.88")],
)
def test_it_is_tried_before_a_build_as_it_is_read_before_it_lands(lockset, glibc, nvcc):
    build = found(lockset, glibc, None, {"nvcc": nvcc, "gcc": "12.2.0", "gxx": "12.2.0"})
    assert build.how == "prebuilt"
    said = [warning for each in (build, *build.others) if each.how == "prebuilt" for warning in each.warnings]
    assert any(WORDS.format("2.31" if lockset == OLD else "2.39") in warning for warning in said)
    assert [other.how for other in build.others][-1] == "build"
    assert all(other.how == "prebuilt" for other in build.others[:-1])


def test_what_was_measured_comes_before_what_may_need_more():
    build = found(NEW, "2.34", None, {})
    assert "manylinux_2_24" in build.wheel.file
    assert "manylinux" not in found(NEW, "2.39", None, {}).wheel.file


def test_a_wheel_that_has_been_moved_says_so():
    described = machine_from_json(
        {
            "schema": 1,
            "host": {"arch": "x86_64", "glibc": "2.39"},
            "nvidia": {"driver": DRIVERS[NEW], "devices": [{"compute_capability": "9.0"}]},
            "toolchain": {"nvcc": None, "gcc": None},
        }
    )
    shipped = [each for each in load_catalogue() if each.id == f"{NEW}.megatron"]
    choice = choose(shipped, described, Request(("vllm", "megatron")))
    assert isinstance(choice, Choice)
    for name, file in (("transformer-engine", "transformer_engine-2.16.1"), ("apex", "apex-0.1")):
        build = next(build for build in choice.builds if build.name == name)
        assert build.how == "prebuilt"
        (moved,) = [warning for warning in build.warnings if "has been moved" in warning]
        assert f"{file}-cp312-cp312-linux_x86_64.whl into a directory: --wheelhouse DIR" in moved


@pytest.mark.parametrize(("value", "expected"), [("2.28", None), ("2.31", True), ("odd", None), (UNKNOWN, None)])
def test_what_may_be_required_is_met_or_nobody_knows(value, expected):
    assert met(Need(GLIBC, least="2.31", perhaps=True), value) is expected


def test_a_wheel_that_nobody_measured_may_need_the_glibc_that_it_was_made_on():
    made = wheel("x", "1", "t", ("3.12",), None, arch=None, cxx11abi=None, built_on_glibc="2.39")
    assert wheel_needs(made, "cuda")[-1] == Need(GLIBC, least="2.39", perhaps=True)
    assert wheel_needs(replace(made, glibc="2.32"), "cuda")[-1] == Need(GLIBC, least="2.32")


GCC_12, NVCC_13 = {"gcc": "12.2.0"}, {"gcc": "12.2.0", "nvcc": "13.0.88"}
DOUBTED = wheel("x", "1", "made", ("3.12",), None, built_on_glibc="2.35")
MEASURED = wheel("x", "1", "measured", ("3.12",), None, glibc="2.28")


@pytest.mark.parametrize(
    ("wheels", "recipes", "glibc", "tools", "order"),
    [
        ((DOUBTED, MEASURED), 1, "2.34", NVCC_13, ["measured", "made", "build"]),
        ((DOUBTED,), 1, "2.34", NVCC_13, ["made", "build"]),
        ((DOUBTED,), 1, "2.34", GCC_12, ["made", "build"]),
        ((DOUBTED,), 1, "2.34", {**GCC_12, "nvcc": None}, ["made", "build"]),
        ((DOUBTED, MEASURED), 1, "2.35", NVCC_13, ["made", "measured", "build"]),
        ((DOUBTED,), 1, "unknown", NVCC_13, ["made", "build"]),
        ((DOUBTED, MEASURED), 0, "2.34", NVCC_13, ["measured", "made"]),
    ],
)
def test_what_is_certain_goes_before_a_wheel_that_may_need_a_newer_glibc(wheels, recipes, glibc, tools, order):
    facts = facts_of(machine(glibc=glibc, **tools))
    environment = environments_of([world.NEW], facts, Request(("vllm",)))[0]
    release = Release("1", wheels, (cuda_recipe(arch_variable=None),) * recipes)
    one = Catalogue({"x": Component("x", None, (release,))}, (), (), ())
    ways = ComponentCandidates(CandidateSource(one, machine_facts(facts)))(ComponentRequirement("x", environment, "1"))
    assert [way.wheel.file.split("+")[1].split("-")[0] if way.wheel else way.how for way in ways] == order
