import pytest

from tests.choose.build import ALL, CU130, FIRST, SAGEMAKER, SGLANG_VLLM, VLLM, choose, lockset, native
from tests.choose.test_explain import ASK, machine
from verl_env.choose.choose import checked, evaluate, evaluate_all, full_id, ranked
from verl_env.choose.errors import (
    LocksetAmbiguousError,
    LocksetUnknownError,
    StackUnavailableError,
    StackUnknownError,
    VerlUnavailableError,
)
from verl_env.choose.explain import why
from verl_env.choose.facts import facts_of
from verl_env.choose.model import Choice, Request
from verl_env.choose.pythons import pythons_in_order
from verl_env.locksets.model import Proof
from verl_env.machine.model import UNKNOWN, Host, Machine, Nvidia, NvidiaDevice, PythonInterpreter
from verl_env.records import replace

HERE = machine("580.95.05", "9.0")


def test_the_order_of_choice():
    assert [each.lockset.id for each in evaluate_all(ALL, HERE, ASK)] == [
        "verl0.9-cu130/app.vllm",
        "verl0.9-cu130-aarch64/app.vllm",
        "verl0.8-rocm7/rocm702",
        "verl0.6-cu128/app.vllm",
        "verl0.6-cu128/app.sglang",
        "verl0.5-cu126/app.vllm.deepep",
        "verl0.4-cu124/app.vllm",
        "verl0.4-cu124/app.vllm.preview",
        "verl0.4-rocm6/rocm",
        "verl0.4-cu124/app.sglang.vllm",
        "ngc/vllm0.8",
        "ngc/vllm0.8.sagemaker",
        "verl0.2-cu124/vemlp",
    ]


def test_newer_families_compare_by_number():
    evaluations = [evaluate(lockset(f"f/{family}", family=family), HERE, ASK) for family in ("0.9", "0.10", "0.9.1")]
    assert [each.lockset.family for each in ranked(evaluations, ASK)] == ["0.10", "0.9.1", "0.9"]


def test_what_was_installed_goes_before_what_was_only_locked():
    tried, newer = (
        lockset("f/tried", family="0.4", tier="installed", installed=("3.10",)),
        lockset("f/newer", family="0.5"),
    )
    found = choose([tried, newer], HERE, ASK)
    assert found.lockset is tried
    assert why(found, ASK) == (
        "2 of 2 locksets fit; verl 0.4 is the newest family among those that were installed and checked",
        "newer, fits, but was only locked, not installed: --lockset f/newer",
    )


def test_what_was_proven_goes_before_what_was_installed_in_the_same_family():
    tried = lockset("f/tried", order=1, tier="installed", installed=("3.10",))
    done = Proof("2026-11-28T00:00:00Z", "3.10", ok=True, parts={"train-fsdp-vllm": "passed"}, natives={})
    proven = lockset("f/proven", order=2, tier="proven", installed=("3.10",), proofs=(done,))
    failed = lockset("f/failed", order=0, tier="installed", installed=("3.10",), proofs=(replace(done, ok=False),))
    found = choose([tried, proven, failed], HERE, ASK)
    assert found.lockset is proven
    assert why(found, ASK)[-1] == "it was proven, and f/failed and f/tried not"
    newer = lockset("f/newer", family="0.5", tier="installed", installed=("3.10",))
    assert choose([tried, proven, newer], HERE, ASK).lockset is newer


def test_a_proof_of_another_engine_proves_nothing_of_the_one_asked_for():
    tried = lockset("f/tried", order=1, tier="installed", installed=("3.10",))
    other = Proof("2026-11-28T00:00:00Z", "3.10", ok=True, parts={"refit-sglang": "passed"}, natives={})
    proven = lockset("f/proven", order=2, tier="proven", installed=("3.10",), proofs=(other,))
    assert choose([tried, proven], HERE, ASK).lockset is tried
    both = replace(other, parts={"refit-sglang": "passed", "generate-vllm": "impossible"})
    assert not proven.proven_with(("vllm",))
    assert not replace(proven, proofs=(both,)).proven_with(("vllm",))
    with_vllm = replace(other, parts={"generate-vllm": "passed"})
    assert replace(proven, proofs=(other, with_vllm)).proven_with(("vllm",)) == ("3.10",)


def test_what_was_installed_for_another_python_is_only_locked_for_this_one():
    tried = lockset("f/tried", family="0.4", tier="installed", installed=("3.10",))
    newer = lockset("f/newer", family="0.5", tier="installed", installed=("3.12",))
    for python, expected in (("3.10", tried), ("3.12", newer), (None, newer)):
        assert choose([tried, newer], HERE, Request(("vllm",), python=python)).lockset is expected


@pytest.mark.parametrize("text", ["v/ngc.vllm", "ngc.vllm", "Dockerfile.ngc.vllm"])
def test_a_lockset_goes_by_the_name_of_its_dockerfile(text):
    assert full_id(["v/ngc.vllm", "v/Dockfile.ngc.vllm", "w/ngc.vllm0.8"], text) == "v/ngc.vllm"


def test_the_python_it_was_installed_for_goes_first():
    asked = Request(("vllm",))
    tried = lockset("f/tried", tier="installed", installed=("3.12",))
    assert tried.pythons[0].python != "3.12"
    assert pythons_in_order(tried, facts_of(Machine()), asked)[0] == ("3.12", None)


def test_what_was_only_locked_is_chosen_where_it_is_asked_for_or_alone():
    tried, newer = (
        lockset("f/tried", family="0.4", tier="installed", installed=("3.10",)),
        lockset("f/newer", family="0.5", verl="0.5.0"),
    )
    for request in (Request(("vllm",), verl="0.5"), Request(("vllm",), lockset="f/newer")):
        assert choose([tried, newer], HERE, request).lockset is newer
    assert choose([newer], HERE, ASK).lockset is newer


def test_choose_and_evaluate_agree():
    found = choose(ALL, HERE, ASK)
    assert isinstance(found, Choice)
    assert found.lockset is CU130
    assert found.evaluation == evaluate(CU130, HERE, ASK)
    assert found.refused == tuple(each for each in found.others if not each.fits)


def test_warnings_are_said_once():
    twice = Machine(nvidia=Nvidia(driver="550.54.15", devices=(NvidiaDevice(0, compute_capability="8.0"),) * 2))
    found = choose(FIRST, twice, ASK)
    assert len(found.warnings) == len(set(found.warnings))


@pytest.mark.parametrize("driver", ["abc", "", "550.54.15 [Deprecated]"])
def test_a_driver_that_is_no_version_is_as_good_as_unknown(driver):
    odd = Machine(nvidia=Nvidia(driver=driver, devices=(NvidiaDevice(0, compute_capability="8.0"),)))
    found = choose(FIRST, odd, ASK)
    assert isinstance(found, Choice)
    assert any("needs 525.60.13 or newer" in warning for warning in found.warnings)


def test_a_glibc_that_is_no_version_is_as_good_as_unknown():
    odd = Machine(host=Host(glibc="2.x"), nvidia=Nvidia(devices=(NvidiaDevice(0, compute_capability="8.0"),)))
    assert "the glibc '2.x' is no version; needs 2.29 or newer" in choose(FIRST, odd, ASK).warnings


@pytest.mark.parametrize(
    ("declared", "have", "asked", "chosen"),
    [
        (("3.10", "3.12"), ("3.12.1", "3.10.1"), None, [("3.10", "/3.10.1"), ("3.12", "/3.12.1")]),
        (("3.10", "3.12"), ("3.12.1",), None, [("3.12", "/3.12.1"), ("3.10", None)]),
        (("3.10", "3.12"), ("3.13.0",), None, [("3.10", None), ("3.12", None)]),
        (("3.10", "3.12"), (), "3.12", [("3.12", None)]),
        (("3.10", "3.12"), ("3.12.1", "3.12.9"), "3.12.9", [("3.12", "/3.12.1")]),
        (("3.10", "3.12"), ("3.11.1",), "3.11", []),
        ((), ("3.11.1",), None, []),
    ],
)
def test_pythons_in_order(declared, have, asked, chosen):
    described = Machine(pythons=tuple(PythonInterpreter(version, f"/{version}") for version in have))
    found = pythons_in_order(lockset(pythons=declared), facts_of(described), Request(("vllm",), python=asked))
    assert list(found) == chosen


def test_python_where_nothing_is_known_of_interpreters():
    found = pythons_in_order(VLLM, facts_of(Machine(pythons=UNKNOWN)), ASK)
    assert found == (("3.10", None), ("3.11", None), ("3.12", None))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("ngc/vllm0.8", "ngc/vllm0.8"),
        ("vllm0.8", "ngc/vllm0.8"),
        ("sagemaker", "ngc/vllm0.8.sagemaker"),
        ("app.sglang.vllm", SGLANG_VLLM.id),
        (SAGEMAKER.id, SAGEMAKER.id),
    ],
)
def test_full_id(asked, found):
    assert full_id([each.id for each in FIRST], asked) == found


def test_the_full_id_replaces_what_was_asked():
    assert checked(FIRST, Request(("vllm",), lockset="sagemaker")).lockset == SAGEMAKER.id
    assert checked(FIRST, ASK) is ASK


@pytest.mark.parametrize(
    ("request_", "error", "attributes"),
    [
        (Request(("vlm",)), StackUnknownError, {"component": "vlm", "known": ("megatron", "sglang", "vllm")}),
        (Request(("vllm",), lockset="vllm"), LocksetAmbiguousError, {"asked": "vllm"}),
        (Request(("vllm",), lockset="nothing"), LocksetUnknownError, {"asked": "nothing"}),
        (Request(("vllm",), verl="9"), VerlUnavailableError, {"known": ("0.4.1", "0.3.0.post1", "0.3.0")}),
    ],
)
def test_errors_carry_what_they_are_about(request_, error, attributes):
    with pytest.raises(error) as caught:
        choose(FIRST, HERE, request_)
    assert {name: getattr(caught.value, name) for name in attributes} == attributes
    assert caught.value.id == caught.value.to_json()["id"]


def test_the_nearest_stacks_are_the_largest_parts():
    locksets = [lockset("a/1", provides=("vllm", "x")), lockset("a/2", provides=("y", "x")), lockset("a/3")]
    with pytest.raises(StackUnavailableError) as caught:
        choose(locksets, HERE, Request(("vllm", "x", "y")))
    assert caught.value.nearest == (("vllm", "x"), ("x", "y"))


def test_a_native_component_of_another_stack_does_not_refuse():
    scoped = lockset(
        "a/scoped",
        provides=("vllm", "deepep"),
        gpu=VLLM.requires.gpu,
        natives=(native("flash-attn", "2.7.4.post1", ["deepep"]),),
    )
    volta = machine("550.54.15", "7.0")
    assert evaluate(scoped, volta, ASK).fits
    assert not evaluate(scoped, volta, Request(("vllm", "deepep"))).fits
