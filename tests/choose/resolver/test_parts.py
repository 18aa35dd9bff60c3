"""The small parts: conditions on facts, their words, the order of builds, wishes."""

from types import SimpleNamespace

import pytest

from tests.choose.resolver.world import GCC, NEW, NVCC, OLD, ROCM, catalogue, cuda_recipe, machine, wheel
from verl_env.choose.errors import WishInvalidError
from verl_env.choose.extra_requirements import PackageRequest, parse_wishes
from verl_env.choose.facts import facts_of
from verl_env.choose.model import Request
from verl_env.choose.resolver.builds import in_order
from verl_env.choose.resolver.candidates import CandidateSource, ComponentCandidates, wants_of
from verl_env.choose.resolver.environments import environments_of, settings_of
from verl_env.choose.resolver.facts import CAPABILITY, GLIBC, HEADERS, PYTHON, TORCH, machine_facts, met
from verl_env.choose.resolver.model import ComponentCandidate, ComponentRequirement, Environment, Need
from verl_env.choose.resolver.needs import recipe_needs, wheel_needs
from verl_env.choose.resolver.provider import Provider, Record
from verl_env.choose.resolver.words import need_words, obstacle_words
from verl_env.choose.specifiers import allows, is_empty
from verl_env.components.model import Release, Tool
from verl_env.machine.model import UNKNOWN, Machine


@pytest.mark.parametrize(
    ("need", "value", "expected"),
    [
        (Need("<nvcc>", least="13", below="14"), "13.0.88", True),
        (Need("<nvcc>", least="13", below="14"), "14.0", False),
        (Need("<nvcc>", least="13", below="14"), "12.9", False),
        (Need("<nvcc>", least="13"), None, False),
        (Need("<nvcc>", least="13"), UNKNOWN, None),
        (Need("<nvcc>", least="13"), "odd", None),
        (Need("<nvcc>", below="12.10"), "12.9.86", True),
        (Need("<nvcc>"), "1", True),
        (Need(TORCH, among=("2.6",)), "2.6.0", True),
        (Need(TORCH, among=("2.1",)), "2.11.0", False),
        (Need(TORCH, among=("2.10", "2.12")), "2.12.0", True),
        (Need(PYTHON, among=("3.1",)), "3.12", False),
        (Need(GLIBC, least="2.32"), "2.4", False),
        (Need(CAPABILITY, among=("8.0", "9.0")), ("8.6", "9.0"), True),
        (Need(CAPABILITY, among=("8.0", "9.0")), ("8.6", "12.0"), False),
        (Need(CAPABILITY, least="8.0"), ("7.5",), False),
        (Need("<gfx>", among=("gfx942",)), ("gfx942",), True),
        (Need("<gfx>", least="8.0"), ("gfx942",), False),
    ],
)
def test_a_condition_is_met_or_not_or_nobody_knows(need, value, expected):
    assert met(need, value) is expected


def test_facts_of_a_machine_of_which_nothing_is_known():
    facts = machine_facts(facts_of(Machine()))
    assert {name for name, fact in facts.items() if fact.value is not UNKNOWN} == {"<reach>"}  # no fact of a machine
    assert {
        "<nvcc>",
        "<gcc>",
        "<cmake>",
        "<ninja>",
        "<glibc>",
        "<arch>",
        "<compute-capability>",
        "<gfx>",
    } <= facts.keys()


def test_what_an_environment_sets():
    (environment,) = environments_of([NEW], facts_of(machine(pythons=("3.10",))), Request(("vllm",), python="3.10"))
    found = {each.name: each.value for each in settings_of(environment, facts_of(machine()), catalogue())}
    assert found == {
        "<python>": "3.10",
        "<torch>": "2.11.0",
        "<cuda>": "13.0",
        "<rocm>": None,
        "<cxx11abi>": "TRUE",
        "<python.h>": UNKNOWN,
    }


@pytest.mark.parametrize(("headers", "value"), [(True, "yes"), (False, None), (UNKNOWN, UNKNOWN)])
def test_the_headers_are_those_of_the_interpreter(headers, value):
    facts = facts_of(machine(headers=headers))
    environment = environments_of([NEW], facts, Request(("vllm",)))[0]
    assert next(each.value for each in settings_of(environment, facts, catalogue()) if each.name == HEADERS) == value


def test_a_wheel_that_works_with_other_torches_too():
    also = wheel("x", "1", "t", ("3.12",), "2.10", torch_also=("2.12",))
    assert wheel_needs(also, "cuda")[0] == Need(TORCH, among=("2.10", "2.12"))


def test_a_wheel_of_which_nothing_is_said_needs_its_python_alone():
    assert wheel_needs(wheel("x", "1", "t", ("3.12",), None, arch=None, cxx11abi=None), "cuda") == (
        Need(PYTHON, among=("3.12",)),
    )


@pytest.mark.parametrize(
    ("tool", "lockset", "words"),
    [
        (NVCC, NEW, ["nvcc 13.x (torch of the lock is of CUDA 13.0)"]),
        (Tool("nvcc", "12.3", None, "cuda", "Hopper"), OLD, ["nvcc 12.x", "nvcc 12.3 or newer (Hopper)"]),
        (Tool("nvcc", "12.3", None, "cuda", "Hopper"), NEW, ["nvcc 13.x"]),
        (Tool("nvcc", None, "13.1", "cuda", "a fault"), NEW, ["nvcc 13.x", "nvcc older than 13.1 (a fault)"]),
        (Tool("nvcc", None, None, "cuda", "", exact=True), OLD, ["nvcc 12.4.x"]),
        (NVCC, ROCM, ["cuda 0 or newer"]),
        (GCC, NEW, ["gcc 9 or newer (C++17)"]),
        (Tool("cmake", "3.19", "4", None, ""), NEW, ["cmake 3.19 or newer, older than 4"]),
        (Tool("ninja", None, None, None, ""), NEW, []),
        (Tool("mpicc", None, None, None, ""), NEW, []),
    ],
)
def test_what_a_tool_asks_of_a_machine(tool, lockset, words):
    recipe = cuda_recipe(tools=(tool,), arch_variable=None)
    needs = recipe_needs(recipe, Release("1", (), (recipe,)), lockset, catalogue(), machine_facts(facts_of(machine())))
    found = [need_words(need) for need in needs if need.name != HEADERS]
    assert len(found) == len(words)
    assert all(text.startswith(word) for text, word in zip(found, words, strict=True))


def test_words_of_what_is_not_there():
    assert obstacle_words(Need("<ninja>"), None) == "needs ninja, and there is none"
    assert obstacle_words(Need("<cuda>", least="0"), None) == "is for CUDA only"


@pytest.mark.parametrize(
    ("specifier", "empty"),
    [
        (">=0.16,<0.15", True),
        (">=0.16,<0.16", True),
        (">0.16,<=0.16", True),
        (">=0.16,<=0.16", False),
        ("~=2.0,<2", True),
        ("==1.0,>=2", True),
        ("==1.*,>=2", False),
        (">=0.15,<0.16", False),
        (">=1,!=1.5", False),
        (">=1", False),
        ("", False),
    ],
)
def test_bounds_that_contradict_each_other(specifier, empty):
    assert is_empty(specifier) is empty


def test_ways_are_the_same_objects_each_time():
    environment = Environment(NEW, "3.12")
    source = CandidateSource(catalogue(), machine_facts(facts_of(machine())))
    ways = ComponentCandidates(source)
    want = ComponentRequirement("flash-attn", environment, "2.8.3")
    assert all(
        one is other
        for one, other in zip(ways(want), ways(ComponentRequirement("flash-attn", environment, "2.8.3")), strict=True)
    )
    assert [way.how for way in ways(want)] == ["prebuilt"] * 4 + ["build"]
    assert ways(ComponentRequirement("flash-attn", environment, "2.8.3", optional=True))[-1].how == "skip"


def test_directories_and_sources_come_with_what_is_built_upon_them():
    source = CandidateSource(catalogue(), machine_facts(facts_of(machine())))
    wants = wants_of(Environment(OLD, "3.12"), ("vllm", "deepep"), source, optional=False)
    assert [want.name for want in wants] == ["flash-attn", "deep-ep"]
    unknown = CandidateSource(catalogue(without_recipes=["nvshmem"]), machine_facts(facts_of(machine())))
    wants = wants_of(Environment(OLD, "3.12"), ("vllm", "deepep"), unknown, optional=False)
    assert [want.name for want in wants] == ["flash-attn", "deep-ep", "nvshmem"]


def test_builds_come_after_what_they_are_built_upon_even_in_a_circle():
    environment = Environment(OLD, "3.12")
    one = ComponentCandidate("one", "1", environment, "build", after=(ComponentRequirement("two", environment),))
    two = ComponentCandidate(
        "two",
        "1",
        environment,
        "build",
        after=(ComponentRequirement("one", environment), ComponentRequirement("nobody", environment)),
    )
    three = ComponentCandidate("three", "1", environment, "prebuilt")
    wants = [ComponentRequirement(name, environment) for name in ("three", "one", "two")]
    assert [way.name for way in in_order([one, two, three], wants)] == ["three", "two", "one"]


def test_a_record_keeps_what_was_tried_and_not_what_was_chosen():
    tried = Record()
    first, second = Environment(NEW, "3.12"), Environment(OLD, "3.12")
    criterion = SimpleNamespace(information=())
    tried.rejecting_candidate(criterion, first)
    tried.rejecting_candidate(criterion, second)
    tried.rejecting_candidate(criterion, ComponentCandidate("one", "1", second, "build"))
    assert tried.given_up(second) == (first,)


def test_the_environment_is_decided_first_and_facts_last():
    provider = Provider((), {}, lambda _: (), lambda _: (), lambda _, __: None)
    order = [provider.get_preference(name, {}, {}, {}, []) for name in ("<environment>", "apex", "<nvcc>")]
    assert order == sorted(order)
    assert len(set(order)) == len(order)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flash-attn", PackageRequest("flash-attn", "", "flash-attn")),
        ("Flash_Attn >= 2.8, <3", PackageRequest("flash-attn", "<3,>=2.8", "Flash_Attn<3,>=2.8")),
        ("ray[default]", PackageRequest("ray", "", "ray[default]", ("default",))),
        ("x @ https://h/x.whl", PackageRequest("x", "", "x @ https://h/x.whl", (), "https://h/x.whl")),
    ],
)
def test_a_wish_is_a_requirement(text, expected):
    assert parse_wishes([text]) == (expected,)


@pytest.mark.parametrize("text", ["", "flash attn", ">=1", "x==", "--index-url"])
def test_what_is_no_requirement(text):
    with pytest.raises(WishInvalidError) as caught:
        parse_wishes([text])
    assert repr(text) in caught.value.message


@pytest.mark.parametrize(
    ("specifier", "version", "expected"),
    [
        ("", "a84a248", True),
        (">=1", "a84a248", False),
        (">=2.8", "2.8.3", True),
        (">=1", "2.0rc1", True),
        ("<2", "2.0", False),
    ],
)
def test_a_version_and_a_specifier(specifier, version, expected):
    assert allows(specifier, version) is expected
