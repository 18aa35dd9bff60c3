"""The further ways of a component, for when the first one fails, and which components must not be left out."""

import pytest

from tests.choose.resolver.world import BOTH, GCC, LOCKSETS, catalogue, machine, wheel
from verl_env.choose.choose import choose
from verl_env.choose.model import Request
from verl_env.components.model import Component, Recipe, Release, ToolkitWheels
from verl_env.records import replace


def builds(stack="vllm", lockset="new", components=None, wishes=(), native=None, **tools):
    request = Request(tuple(stack.split("+")), native=native, wishes=tuple(wishes))
    found = choose(
        [LOCKSETS[lockset]],
        machine(**{"nvcc": "13.0.88", "gcc": "12.2.0", **tools}),
        request,
        components=components or catalogue(),
        locks=lambda *_: {},
    )
    return {build.name: build for build in found.builds}


def test_after_the_wheel_comes_the_build():
    found = builds()["flash-attn"]
    assert found.how == "prebuilt"
    assert [way.how for way in found.others] == ["build"]
    assert found.others[0].way == "2.8.3 built from sdist"
    assert found.others[0].reason == "built from sdist (about 60 minutes on 16 cores)"


def test_a_second_wheel_comes_before_the_build():
    known = catalogue()
    release = known.components["flash-attn"].release("2.8.3")
    again = wheel("flash-attn", "2.8.3", "again", ("3.12",), "2.11", cuda="13", sha256=None)
    more = Release(release.version, (*release.wheels, again), release.recipes, release.minimum_gpu)
    known.components["flash-attn"] = Component("flash-attn", "flash_attn", (more,))
    others = builds(components=known)["flash-attn"].others
    assert [way.how for way in others] == ["prebuilt", "build"]
    assert others[0].way == f"2.8.3 from {again.url}"
    assert "hash-unrecorded" in others[0].warnings[0]


@pytest.mark.parametrize(
    ("asked", "others"),
    [({"nvcc": None}, 0), ({"native": "prebuilt"}, 0), ({"native": "build"}, 0), ({"gcc": "16.1.0"}, 0), ({}, 1)],
)
def test_only_what_fits_and_is_allowed(asked, others):
    assert len(builds(**asked)["flash-attn"].others) == others


def test_what_needs_another_component_first_is_no_way_without_it():
    found = builds("vllm+deepep", "old", nvcc="12.4.131", cmake="3.25.1")
    assert found["deep-ep"].how == "build"
    assert all(not build.others for name, build in found.items() if name != "flash-attn")


@pytest.mark.parametrize(
    ("asked", "required"),
    [({}, False), ({"native": "prebuilt"}, True), ({"native": "build"}, True), ({"wishes": ["flash-attn"]}, True)],
)
def test_what_was_asked_for_is_required(asked, required):
    assert builds(**asked)["flash-attn"].required is required


def test_what_a_part_of_the_stack_stands_for_is_required():
    found = builds("vllm+deepep", "old", nvcc="12.4.131", cmake="3.25.1")
    assert [name for name, build in found.items() if build.required] == ["deep-ep"]


def test_what_can_be_had_on_another_python_alone_says_so():
    known = catalogue(without_recipes=["transformer-engine", "apex"])
    for name, version, python in (("transformer-engine", "2.2.1", "3.12"), ("apex", "0.1", "3.10")):
        only = wheel(name, version, "t", (python,), "2.6", cuda="12", cxx11abi=False)
        known.components[name] = Component(name, name, (Release(version, (only,), ()),))
    found = builds("vllm+megatron", "old", components=known, nvcc=None)
    assert (found["apex"].how, found["transformer-engine"].how) == ("skip", "prebuilt")
    assert "to get it: --python 3.10" in found["apex"].warnings[0]


def test_what_is_left_out_has_no_other_way():
    found = builds(native="skip")["flash-attn"]
    assert (found.how, found.others, found.required, found.way) == ("skip", (), False, "left out")


def in_parts(**more):
    """A catalogue whose transformer-engine is on the index in three parts, one of them to be compiled."""
    known = catalogue()
    te = known.components["transformer-engine"].releases[0]
    after, plain = ("te-core", "te-torch"), {"cuda": "12", "cxx11abi": None}
    whole = replace(wheel("transformer-engine", "2.2.1", "any", BOTH, None, **plain), url=INDEX, after=after)
    core = wheel("te-core", "2.2.1", "any", BOTH, None, **plain)
    moved = wheel("transformer-engine", "2.2.1", "moved", BOTH, "2.6", **plain)
    parts = {
        "transformer-engine": replace(te, wheels=(replace(moved, address_confirmed=False), whole)),
        "te-core": Release("2.2.1", (core,), ()),
        "te-torch": Release("2.2.1", (), (Recipe("sdist", tools=(GCC,), cuda=more.get("cuda", "12")),)),
    }
    known.components.update({name: Component(name, None, (release,)) for name, release in parts.items()})
    return known


INDEX = "index:transformer_engine-2.2.1-py3-none-any.whl"


@pytest.mark.parametrize("native", [None, "build"])
def test_parts_come_before_what_cannot_be_without_them_and_need_no_nvcc(native):
    found = builds("vllm+megatron", "old", in_parts(), native=native, nvcc="12.4.131")
    names = list(found)
    assert names.index("te-core") < names.index("te-torch") < names.index("transformer-engine")
    assert found["transformer-engine"].wheel.url == INDEX
    assert found["transformer-engine"].after == ("te-core", "te-torch")
    assert (found["te-core"].how, found["te-torch"].how) == ("prebuilt", "build")
    assert [way.how for way in found["transformer-engine"].others][-1] == "build"


def test_a_wheel_that_was_moved_comes_after_one_of_the_index():
    others = builds("vllm+megatron", "old", in_parts(), nvcc="12.4.131")["transformer-engine"].others
    assert [way.wheel.address_confirmed for way in others if way.wheel] == [False]


def test_a_part_that_is_for_another_cuda_leaves_the_whole_to_the_other_ways():
    found = builds("vllm+megatron", "old", in_parts(cuda="13"), nvcc="12.4.131")
    assert not {"te-core", "te-torch"} & set(found)
    assert found["transformer-engine"].wheel.url != INDEX


def with_compiler(**more):
    """A catalogue of an index that has a compiler of CUDA 13.0, and no wheel of flash-attn."""
    row = ToolkitWheels(
        **{"cuda": "13.0", "nvcc": "13.0.88", "arch": "x86_64", "files": {}, "source": "a test", **more}
    )
    return catalogue(drop=("flash_attn",), toolkits=(row,))


@pytest.mark.parametrize(
    ("nvcc", "words"), [(None, " with nvcc 13.0.88 of the index"), ("12.4.131", " with nvcc"), ("13.2.51", "")]
)
def test_the_index_gives_a_compiler_where_the_machine_has_none_that_fits(nvcc, words):
    found = builds(components=with_compiler(), nvcc=nvcc)["flash-attn"]
    assert found.how == "build"
    assert found.reason.startswith(f"built from sdist{words}")
    assert not found.warnings


@pytest.mark.parametrize("other", [{"cuda": "13.1"}, {"arch": "aarch64"}])
def test_it_is_of_the_release_and_the_architecture(other):
    assert builds(components=with_compiler(**other), nvcc=None)["flash-attn"].how == "skip"


def test_its_compiler_must_take_gcc_and_know_the_gpu():
    found = builds(components=with_compiler(), nvcc=None, gcc="16.1.0")["flash-attn"]
    assert found.how == "skip"
    assert "nvcc 13.0 takes no newer one" in found.warnings[0]


def test_of_cuda_12_the_index_has_none_and_it_is_said_what_helps():
    found = builds("vllm+megatron", "old", nvcc=None)["apex"]
    assert found.how == "skip"
    assert "which no wheel of the index has: module load cuda/12.4; or conda install" in found.warnings[0]
