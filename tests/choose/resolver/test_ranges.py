"""Components that exclude each other: the resolver goes back where the first fit of each is wrong, and says why."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.choose.build import lockset
from tests.choose.resolver.world import ABI, native
from tests.choose.resolver.world import machine as machine_of
from verl_env.choose.choose import choose
from verl_env.choose.errors import NativeUnavailableError
from verl_env.choose.model import Choice, Request
from verl_env.choose.resolver.ranges import is_taken, said
from verl_env.components.load import load_catalogue as shipped_components
from verl_env.components.model import Catalogue, Component, Range, Recipe, Release
from verl_env.locksets.catalogue import load_catalogue as shipped_locksets
from verl_env.locksets.catalogue import packages_of
from verl_env.machine.record import machine_from_json

#: Newest first, as in the catalogue; the names are those of a stack, the versions invented.
VERSIONS = ("3.0", "2.0", "1.0")
NAMES = ("core", "engine", "attention")


def component(name, *ranges, versions=VERSIONS):
    recipe = Recipe(f"git+https://h/{name}", torch=False)
    return Component(name, name, tuple(Release(version, (), (recipe,)) for version in versions), ranges)


def says(user, since, least=None, most=None, **more):
    return Range(user, since, more.pop("before", since), most, f"the metadata of {user}", least, **more)


def world(*components):
    return Catalogue({each.name: each for each in components}, (), (), ABI)


PLAIN = lockset(
    "verl9.0-cu130/plain",
    family="9.0",
    verl="9.0",
    tier="installed",
    installed=("3.12",),
    cuda="13.0",
    torch="2.11.0",
    pythons=("3.12",),
    natives=(),
)
HOST = machine_of(gpus=("9.0",), driver="580.95.05")


def ask(components, *wishes, locksets=(PLAIN,), locked=None, native_mode=None):
    request = Request(("vllm",), native=native_mode, wishes=wishes)
    return choose(list(locksets), HOST, request, components=components, locks=lambda *_: locked or {})


def chosen(choice):
    return {build.name: build.version for build in choice.builds if build.how != "skip"}


def test_the_first_of_each_is_wrong_and_the_resolver_finds_what_goes_together():
    """The newest core takes no engine that there is but the oldest, which takes no attention but the oldest."""
    known = world(
        component("core"),
        component("engine", says("core", "3.0", most="1.0"), says("core", "2.0", least="2.0", most="2.0")),
        component("attention", says("engine", "1.0", most="0.9"), says("engine", "2.0", most="2.0")),
    )
    found = ask(known, *NAMES)
    assert chosen(found) == {"core": "2.0", "engine": "2.0", "attention": "2.0"}
    why = {each.what: each.reason for build in found.builds for each in build.rejected}
    assert why["core 3.0"] == "core 3.0 takes engine up to 1.0 (the metadata of core), not 2.0"
    assert why["engine 3.0"] == "core 2.0 takes engine 2.0 only (the metadata of core), not 3.0"
    assert why["attention 3.0"] == "engine 2.0 takes attention up to 2.0 (the metadata of engine), not 3.0"


def test_without_ranges_the_first_of_each_is_taken():
    assert chosen(ask(world(*map(component, NAMES)), *NAMES)) == dict.fromkeys(NAMES, "3.0")


def test_what_is_not_there_is_asked_nothing():
    known = world(component("core"), component("engine", says("core", "3.0", most="1.0")))
    assert chosen(ask(known, "core")) == {"core": "3.0"}


@pytest.mark.parametrize(
    ("locked", "version"),
    [({"engine": "2.5"}, "2.0"), ({"engine": "1.0"}, "3.0"), ({"engine": "0+unknown.of.all"}, "3.0"), ({}, "3.0")],
)
def test_a_package_of_the_lock_decides_which_version_comes(locked, version):
    known = world(component("core"), component("engine", says("core", "3.0", most="1.0"), versions=()))
    assert chosen(ask(known, "core", locked=locked)) == {"core": version}


def test_where_nothing_goes_together_the_pair_is_named():
    ranges = (says("core", version, most="0.5") for version in VERSIONS)
    with pytest.raises(NativeUnavailableError) as caught:
        ask(world(component("core"), component("engine", *ranges)), "core", "engine")
    (passed,) = caught.value.passed
    reasons = [each.reason for missing in passed.missing for each in missing.rejected]
    assert "core 1.0 takes engine up to 0.5 (the metadata of core), not 1.0" in reasons


IMAGE = lockset(
    "verl9.1-cu130/image", family="9.1", verl="9.1", tier="installed", installed=("3.12",), cuda="13.0", torch="2.11.0",
    pythons=("3.12",), natives=(native("core", "2.0"), native("engine", "3.0")),
)  # fmt: skip


def test_what_an_image_has_stays_although_its_parts_say_otherwise():
    known = world(component("core"), component("engine", says("core", "2.0", most="1.0")), component("attention"))
    found = ask(known, locksets=[IMAGE, PLAIN])
    assert found.lockset is IMAGE
    assert chosen(found) == {"core": "2.0", "engine": "3.0"}


def test_what_is_asked_for_besides_has_to_go_with_the_image():
    known = world(
        component("core"),
        component("engine", says("attention", "3.0", most="2.0"), says("attention", "2.0", least="2.5")),
        component("attention"),
    )
    assert chosen(ask(known, "attention", locksets=[IMAGE])) == {"core": "2.0", "engine": "3.0", "attention": "2.0"}


def test_what_the_stack_may_do_without_is_left_out_and_the_pair_is_named():
    known = world(component("core"), component("engine"), component("attention", versions=("1.0",)))
    known.components["engine"] = component("engine", says("attention", "1.0", most="2.0"))
    found = ask(known, "attention", locksets=[IMAGE])
    assert chosen(found) == {"core": "2.0", "attention": "1.0"}
    left_out = next(build for build in found.builds if build.how == "skip")
    assert left_out.name == "engine"
    assert "attention 1.0 takes engine up to 2.0 (the metadata of attention), not 3.0" in left_out.warnings[0]


def test_a_companion_comes_in_the_version_of_what_is_locked():
    known = world(component("infer", says("infer-cubin", "0", before=None, same=True), versions=()))
    for wish, extra in (
        ("infer-cubin", "infer-cubin==0.6.4"),
        ("infer-cubin>=0.5", "infer-cubin>=0.5,==0.6.4"),
        ("infer-cubin @ https://h/x.whl", "infer-cubin @ https://h/x.whl"),
        ("other", "other"),
    ):
        assert ask(known, wish, locked={"infer": "0.6.4"}).extras == (extra,)
    assert ask(known, "infer-cubin").extras == ("infer-cubin",)


@st.composite
def worlds(draw):
    """Three components; each release may say which versions of another it takes."""
    ranges = {name: [] for name in NAMES}
    for user, other in itertools.permutations(NAMES, 2):
        for version in VERSIONS:
            bounds = draw(st.none() | st.tuples(st.sampled_from(VERSIONS), st.sampled_from(VERSIONS)).map(sorted))
            if bounds:
                ranges[other].append(says(user, version, *bounds))
    return world(*(component(name, *ranges[name]) for name in NAMES))


def together(known, versions):
    return all(
        (words := said(known.components[name], user, versions[user])) is None or is_taken(words, versions[name])
        for user, name in itertools.permutations(versions, 2)
    )


@given(worlds())
def test_the_first_that_goes_together_is_found(known):
    """The resolver against trying all, in the order of what was asked for."""
    every = [dict(zip(NAMES, versions, strict=True)) for versions in itertools.product(VERSIONS, repeat=len(NAMES))]
    possible = [versions for versions in every if together(known, versions)]
    if not possible:
        with pytest.raises(NativeUnavailableError) as caught:
            ask(known, *NAMES)
        assert all(passed.missing for passed in caught.value.passed)
        return
    found = ask(known, *NAMES)
    assert isinstance(found, Choice)
    assert chosen(found) == max(possible, key=lambda versions: [versions[name] for name in NAMES])
    for build in found.builds:
        assert build.version == "3.0" or build.rejected


H100 = {
    "schema": 1,
    "host": {"arch": "x86_64", "glibc": "2.35"},
    "nvidia": {"driver": "580.95.05", "devices": [{"compute_capability": "9.0"}]},
    "amd": None,
    "toolchain": {"gcc": "12.2.0", "nvcc": "13.0.88", "cmake": "3.28.0"},
}


@pytest.mark.parametrize(
    ("lockset", "wishes", "versions"),
    [
        (
            "uv.vllm",
            ("transformer-engine", "megatron-core"),
            {"transformer-engine": "2.16.1", "megatron-core": "0.13.0"},
        ),
        ("uv.vllm", ("megatron-core",), {"megatron-core": "0.14.0rc7"}),
    ],
)
def test_shipped_components_that_do_not_go_together(lockset, wishes, versions):
    request = Request(("vllm",), python="3.12", lockset=lockset, wishes=wishes)
    found = choose(shipped_locksets(), machine_from_json(H100), request)
    assert versions.items() <= chosen(found).items()


#: What images have against the word of a part; an image that was run says more, and a test that fails says what is new.
AGAINST = {
    ("rocm6", "sglang", "torch"),
    ("Apptainerfile.rocm", "vllm", "torch"),
    ("rocm", "vllm", "torch"),
    ("rocm", "sglang", "torch"),
    ("vllm.sglang.megatron", "sglang", "flashinfer-python"),
    ("stable.sglang0.5.5", "megatron-core", "transformer-engine"),
    ("stable.vllm0.11", "megatron-core", "transformer-engine"),
}


def test_the_shipped_locks_hold_what_their_parts_take():
    components, found = shipped_components().components.values(), set()
    for each in shipped_locksets():
        for lock in each.pythons:
            locked = {
                package.name: package.version.partition("+")[0]
                for package in packages_of(each, lock.python, verify=False)
            }
            there = {**locked, **{native.name: native.version for native in each.natives}}
            users = {**there, "verl": each.verl, **each.engines}
            for one in (one for one in components if one.ranges and one.name in there):
                said_of = {user: said(one, user, version) for user, version in users.items()}
                for user, words in said_of.items():
                    fits = words is None or (
                        there[one.name] == users[user] if words.same else is_taken(words, there[one.name])
                    )
                    found |= set() if fits else {(each.id.rpartition("/")[2], user, one.name)}
    assert found == AGAINST
