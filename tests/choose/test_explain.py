import pytest

from tests.choose.build import ALL, CU128, CU130, FIRST, NGC, RECORDED, SGLANG128, VLLM, choose, lockset
from verl_env.choose.choose import evaluate, evaluate_all
from verl_env.choose.errors import NothingFitsError
from verl_env.choose.explain import (
    OBSTACLES,
    candidates,
    machine_line,
    obstacle,
    reasons,
    summary,
    why,
)
from verl_env.choose.facts import facts_of
from verl_env.choose.model import Choice, Refusal, Request
from verl_env.choose.nearest import _CHANGES, DISTANCE, changes
from verl_env.machine.record import machine_from_json

ASK = Request(("vllm",))


def machine(driver="550.54.15", *capabilities, **host):
    devices = [{"name": f"GPU-{each}", "compute_capability": each} for each in capabilities]
    return machine_from_json(
        {
            "schema": 1,
            "host": {"arch": "x86_64", "glibc": "2.35", **host},
            "nvidia": {"driver": driver, "devices": devices} if capabilities else None,
            "amd": None,
            "pythons": [{"version": "3.10.1", "path": "/p/3.10"}, {"version": "3.12.1", "path": "/p/3.12"}],
        }
    )


def test_a_refusal_counts_under_what_can_be_changed_least():
    refused = evaluate(CU130, machine("470.1", "7.0", glibc="2.17"), Request(("vllm",), python="3.8"))
    assert {verdict.requirement for verdict in refused.failed} == {"driver", "compute-capability", "glibc", "python"}
    assert obstacle(refused).requirement == "compute-capability"
    assert obstacle(evaluate(VLLM, machine("550.54.15", "8.0"), ASK)) is None


def test_the_largest_group_comes_first_and_the_request_last():
    found = reasons(evaluate_all(ALL, machine("550.54.15", "7.0"), ASK))
    assert [(reason.brief, len(reason.evaluations)) for reason in found] == [
        ("sm_70", 8),
        ("no AMD GPU", 2),
        ("architecture x86_64", 1),
        ("recorded only", 1),
        ("stack without vllm", 1),
    ]
    assert [reason.by_request for reason in found] == [False, False, False, True, True]
    assert any(message.startswith("torch 2.11.0 has no code for sm_70") for message in found[0].messages)
    lengths = [len(each.failed) for each in found[0].evaluations]
    assert lengths == sorted(lengths)


def test_summary_of_drivers_and_gpus():
    newer = [lockset(f"new/{place}", family="0.9", driver=CU130.requires.driver) for place in range(9)]
    volta = [lockset(f"old/{place}", gpu=VLLM.requires.gpu, family="0.4") for place in range(3)]
    evaluations = evaluate_all([*newer, *volta], machine("550.54.15", "7.0"), ASK)
    assert summary(evaluations) == "9 by driver < 580, 3 by sm_70"
    assert summary([]) == ""


def test_candidates_leave_out_what_was_not_asked_for():
    evaluations = evaluate_all(ALL, machine("550.54.15", "8.0"), Request(("sglang",)))
    assert SGLANG128.id in [each.lockset.id for each in candidates(evaluations)]
    assert NGC.id not in [each.lockset.id for each in candidates(evaluations)]


def test_why_names_the_newer_ones_that_were_refused():
    found = choose(ALL, machine("535.54.03", "8.0"), ASK)
    assert isinstance(found, Choice)
    assert found.lockset is CU128
    assert why(found, ASK) == (
        "6 of 12 locksets fit; verl 0.6 is the newest family among them",
        "newer, but refused: 1 by architecture x86_64, 1 by driver < 580, 1 by no AMD GPU",
    )


def test_why_names_what_decided_within_a_family():
    few = choose(FIRST, machine("550.54.15", "8.0"), ASK)
    assert why(few, ASK)[1] == "it brings less that was not asked for than verl0.4-cu124/app.sglang.vllm"
    twins = [lockset("a/one", order=2), lockset("a/two", order=1)]
    declared = choose(twins, machine("550.54.15", "8.0"), ASK)
    assert declared.lockset.id == "a/two"
    assert why(declared, ASK)[1] == "it comes before a/one in the declared order"


def test_why_the_only_one():
    found = choose([NGC, RECORDED], machine("550.54.15", "8.0"), ASK)
    assert why(found, ASK) == ("the only one of 2 locksets that fits",)


@pytest.mark.parametrize(
    ("described", "line"),
    [
        ({"schema": 1}, "GPUs not stated"),
        ({"schema": 1, "nvidia": None, "amd": None}, "no GPU"),
        (
            {
                "schema": 1,
                "host": {"arch": "x86_64", "glibc": "2.36"},
                "nvidia": {
                    "driver": "550.54.15",
                    "devices": [{"name": "NVIDIA H100", "compute_capability": "9.0"}] * 2
                    + [{"compute_capability": "7.0"}, {}],
                },
            },
            "2 x NVIDIA H100, 1 x sm_70 GPU, 1 x unknown GPU, driver 550.54.15, glibc 2.36, x86_64",
        ),
        (
            {"schema": 1, "nvidia": None, "amd": {"rocm": "6.3.0", "devices": [{"gfx": "gfx942"}]}},
            "1 x gfx942, ROCm 6.3.0",
        ),
    ],
)
def test_machine_line(described, line):
    assert machine_line(machine_from_json(described)) == line


def test_a_refusal_in_one_line_and_as_an_error():
    found = choose(FIRST, machine("550.54.15", "7.0"), ASK)
    assert isinstance(found, Refusal)
    assert summary(found.evaluations) == "4 by sm_70"
    error = NothingFitsError(found, ASK, summary(found.evaluations))
    assert (error.id, error.exit_code) == ("nothing-fits", 1)
    assert error.message == "no lockset for vllm fits: 4 by sm_70"
    assert error.hint == "so it fits: verl-env plan --stack vllm --native skip"


def test_the_error_of_a_machine_without_a_gpu_hints_at_the_gpu_node():
    found = choose(FIRST, machine(), ASK)
    assert "--gpu h100 --driver 550.54.15" in NothingFitsError(found, ASK, "").hint
    assert "verl-env probe -o node.json" in found.hints[1]


def test_every_requirement_has_a_place_a_distance_and_a_change():
    assert set(OBSTACLES) == set(DISTANCE) == set(_CHANGES)


def test_changes_name_each_kind_once_the_nearest_first():
    described = machine("470.1", "7.0", glibc="2.17")
    request = Request(("vllm",), python="3.8")
    assert changes(evaluate(CU130, described, request), facts_of(described), request) == (
        "Python 3.12 instead of 3.8",
        "the NVIDIA driver updated from 470.1 to 580 or newer (580.95.05 for all features)",
        "an operating system with glibc 2.28 or newer (this one has 2.17)",
        "other GPUs: compute capability 8.0, 8.6, 8.9, 9.0, 10.0, 10.3, 12.0 or 12.1",
    )


def test_the_smaller_step_of_the_driver_is_nearer():
    found = choose(ALL, machine("470.1", "8.0"), ASK)
    assert found.nearest.lockset is CU128
    assert "updated from 470.1 to 525.60.13" in found.changes[0]


def test_no_lockset_at_all():
    assert choose([], machine(), Request(())) == Refusal((), None, ())


@pytest.mark.parametrize(
    ("only", "request_", "change"),
    [
        (lockset("a/preview", preview=True), ASK, "previews allowed: --preview"),
        (RECORDED, ASK, "a lock of it, which an index cannot give yet: see its page in docs/locksets"),
        (lockset("a/empty", pythons=()), ASK, "a lock of it for some Python"),
    ],
    ids=["preview", "recorded", "no lock"],
)
def test_changes_that_the_machine_has_no_part_in(only, request_, change):
    found = choose([only], machine("550.54.15", "8.0"), request_)
    assert isinstance(found, Refusal)
    assert found.changes == (change,)


def test_another_stack_is_the_farthest_change():
    request = Request(("sglang",), verl="0.9")
    found = choose([CU130, SGLANG128], machine("550.54.15", "8.0", glibc="2.17"), request)
    assert found.nearest.lockset is SGLANG128
    assert "another stack, of vllm" in changes(evaluate(CU130, machine(), request), facts_of(machine()), request)
