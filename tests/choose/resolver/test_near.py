"""Later patch releases that stand in where no wheel of the lockset's version fits."""

import pytest

from tests.choose.resolver.world import LOCKSETS, catalogue, machine, wheel
from verl_env.choose.choose import choose
from verl_env.choose.model import Choice, Request
from verl_env.choose.resolver.model import ComponentRequirement, Environment
from verl_env.choose.resolver.near import near_releases
from verl_env.components.load import load_catalogue as shipped_components
from verl_env.components.model import Range
from verl_env.install.plan_json import native_to_json
from verl_env.locksets.catalogue import load_catalogue as shipped_locksets
from verl_env.machine.record import machine_from_json
from verl_env.records import replace

OPEN = tuple(Range(user, since, None, None, "a test") for user, since in (("verl", "0.3"), ("vllm", "0.8.5")))
LIMIT = Range("transformer-engine", "2.1", "2.6", "2.7.4.post1", "a test")
LATER = wheel("flash-attn", "2.8.1", "cu12torch26", ("3.10",), "2.6", cuda="12", cxx11abi=False)


def world(near=("2.8.1", "2.8.3"), ranges=(*OPEN, LIMIT), more=(LATER,)):
    """The world without a wheel of 2.7.4.post1, and with one of 2.8.1 for the same torch."""
    known = catalogue(drop=["2.7.4.post1"])
    old = known.components["flash-attn"]
    releases = [replace(each, near=near if each.version == "2.7.4.post1" else ()) for each in old.releases]
    releases = [replace(each, wheels=each.wheels + (more if each.version == "2.8.1" else ())) for each in releases]
    known.components["flash-attn"] = replace(old, releases=tuple(releases), ranges=ranges)
    return known


def flash(known, stack="vllm", python="3.10", native_mode=None, wishes=(), **tools):
    request = Request(tuple(stack.split("+")), python=python, native=native_mode, wishes=wishes)
    on = machine(**{"nvcc": None, "gcc": "12.2.0", **tools})
    found = choose([LOCKSETS["old"]], on, request, components=known, locks=lambda *_: {})
    assert isinstance(found, Choice)
    return next(build for build in found.builds if build.name == "flash-attn")


def test_a_later_release_stands_in_and_says_so():
    build = flash(world())
    assert (build.how, build.version) == ("prebuilt", "2.8.1")
    assert build.reason.endswith("in place of 2.7.4.post1, of which no wheel fits")
    assert "a deviation from its image: verl and vllm take it" in build.warnings[0]
    entry = native_to_json(build)["deviation"]
    assert entry["locked"] == "2.7.4.post1"
    assert [each.partition(":")[0] for each in entry["accepted"]] == ["verl", "vllm"]


def test_what_is_of_the_lockset_deviates_from_nothing():
    build = flash(world(more=()), nvcc="12.4.131")
    assert (build.how, build.version, build.deviation) == ("build", "2.7.4.post1", None)
    assert native_to_json(build)["deviation"] is None


def test_it_comes_before_a_build_and_after_the_exact_wheel():
    build = flash(world(), nvcc="12.4.131")
    assert [(build.version, build.how), *((each.version, each.how) for each in build.others)] == [
        ("2.8.1", "prebuilt"),
        ("2.7.4.post1", "build"),
    ]
    known = world()
    exact = catalogue().components["flash-attn"].release("2.7.4.post1").wheels
    releases = tuple(
        replace(each, wheels=exact) if each.version == "2.7.4.post1" else each
        for each in known.components["flash-attn"].releases
    )
    known.components["flash-attn"] = replace(known.components["flash-attn"], releases=releases)
    build = flash(known, nvcc="12.4.131")
    assert (build.version, build.deviation) == ("2.7.4.post1", None)
    assert [(each.version, each.how) for each in build.others] == [("2.8.1", "prebuilt"), ("2.7.4.post1", "build")]
    assert build.others[0].deviation.locked == "2.7.4.post1"


@pytest.mark.parametrize(
    ("ranges", "stack", "how"),
    [
        ((*OPEN, LIMIT), "vllm", "prebuilt"),
        ((*OPEN, LIMIT), "vllm+megatron", "skip"),
        ((*OPEN, replace(LIMIT, most="2.8.1")), "vllm+megatron", "prebuilt"),
        ((*OPEN, replace(LIMIT, most=None)), "vllm+megatron", "prebuilt"),
        ((*OPEN, replace(LIMIT, since="2.3", most=None)), "vllm+megatron", "skip"),
        ((*OPEN, replace(LIMIT, before="2.2", most=None)), "vllm+megatron", "skip"),
        (OPEN[:1], "vllm", "skip"),
        (OPEN[1:], "vllm", "skip"),
        ((), "vllm", "skip"),
    ],
)
def test_all_who_use_it_must_have_said_that_they_take_it(ranges, stack, how):
    assert flash(world(ranges=ranges), stack).how == how


def test_nothing_is_near_that_is_not_said_to_be():
    build = flash(world(near=()))
    assert build.how == "skip"
    assert all("2.8.1" not in each.what for each in build.rejected)


def test_a_build_that_was_asked_for_is_of_the_version_of_the_lockset():
    build = flash(world(), native_mode="build", nvcc="12.4.131")
    assert (build.how, build.version, build.others) == ("build", "2.7.4.post1", ())


def test_a_wish_takes_a_near_release_that_it_allows_and_no_other():
    known, environment = world(), Environment(LOCKSETS["old"], "3.10")

    def found(specifier):
        want = ComponentRequirement("flash-attn", environment, "2.7.4.post1", specifier)
        return [release.version for release, _ in near_releases(want, known, ("vllm",))]

    assert found("") == ["2.8.1", "2.8.3"]
    assert found(">=2.8.3") == ["2.8.3"]
    assert found("<2.8") == []
    assert flash(known, wishes=("flash-attn>=2.7",)).version == "2.8.1"


def test_later_releases_that_do_not_fit_either_are_told_with_their_version():
    build = flash(world(), python="3.12")
    told = [each.what for each in build.rejected]
    assert any("flash-attn 2.8.1" in each for each in told)
    assert any("flash-attn 2.8.3" in each for each in told)


H100 = {
    "schema": 1,
    "host": {"arch": "x86_64", "glibc": "2.35"},
    "nvidia": {"driver": "550.54.15", "devices": [{"compute_capability": "9.0"}]},
    "amd": None,
    "toolchain": {"nvcc": None},
}


@pytest.mark.parametrize(
    ("stack", "python", "lockset", "engine", "version"),
    [
        ("sglang", "3.12", None, "0.5.2", "2.8.1"),
        ("sglang", "3.10", "app.sglang", "0.5.2", "2.8.3"),
        ("vllm", "3.10", "stable.vllm0.11", "0.11.0", "2.8.3"),
        ("vllm", "3.12", "stable.vllm0.11", "0.11.0", "2.8.1"),
    ],
)
def test_a_hopper_with_an_older_driver_keeps_the_newer_engine(stack, python, lockset, engine, version):
    request = Request((stack,), python=python, lockset=lockset)
    found = choose(shipped_locksets(), machine_from_json(H100), request)
    build = next(each for each in found.builds if each.name == "flash-attn")
    assert found.lockset.engines[stack] == engine
    assert (build.how, build.version) == ("prebuilt", version)
    assert (build.deviation is None) is (build.version == native_version(found.lockset))


def native_version(lockset):
    return next(each.version for each in lockset.natives if each.name == "flash-attn")


def test_transformer_engine_of_the_lockset_keeps_the_older_one():
    """That of the lockset turns flash-attn off above 2.7.4.post1."""
    request = Request(("sglang", "megatron"), python="3.12", lockset="app.sglang")
    found = choose(shipped_locksets(), machine_from_json({**H100, "toolchain": {}}), request)
    build = next(each for each in found.builds if each.name == "flash-attn")
    assert (build.how, build.version, build.deviation) == ("build", "2.7.4.post1", None)


def test_every_near_release_of_the_catalogue_is_later_and_is_there():
    from packaging.version import Version

    for component in shipped_components().components.values():
        for release in component.releases:
            versions = [Version(each) for each in release.near]
            assert versions == sorted(versions)
            assert all(each > Version(release.version) for each in versions)
            assert all(component.release(each) is not None for each in release.near)
            assert not release.near or component.ranges
