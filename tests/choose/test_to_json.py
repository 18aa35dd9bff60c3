import json

from tests.choose.build import ALL, CU128, CU130, DEEPEP, FIRST, RECORDED, ROCM7, VLLM, choose
from tests.choose.test_explain import ASK, machine
from verl_env.choose.choose import evaluate, evaluate_all
from verl_env.choose.errors import NothingFitsError
from verl_env.choose.explain import shortest_first, summary
from verl_env.choose.model import Refusal, Request
from verl_env.choose.to_json import lockset_json, nearest_json, reasons_json, refused_json


def test_a_refused_lockset_keeps_every_failed_requirement():
    evaluations = evaluate_all(FIRST, machine("470.1", "8.0", "7.0"), ASK)
    assert refused_json(evaluations)[0] == {
        "lockset": VLLM.id,
        "failed": [
            {
                "requirement": "driver",
                "need": ">= 525.60.13",
                "have": "470.1",
                "message": "driver 470.1 is older than 525.60.13, the least that runs CUDA 12.4",
                "kind": "impossible",
                "source": VLLM.requires.driver.source,
            },
            {
                "requirement": "compute-capability",
                "need": "flash-attn 2.7.4.post1: 8.0 and 9.0",
                "have": "7.0",
                "message": "GPU 1 (GPU-7.0, 7.0): flash-attn 2.7.4.post1 has no code for sm_70; "
                "it is built for sm_80 and sm_90; the other one fits",
                "component": "flash-attn 2.7.4.post1",
                "devices": [1],
                "kind": "impossible",
                "source": next(each.source for each in VLLM.requires.gpu if each.component == "flash-attn"),
            },
        ],
    }


def test_fitting_locksets_are_not_refused():
    listed = [each["lockset"] for each in refused_json(evaluate_all(ALL, machine("550.54.15", "8.0"), ASK))]
    assert CU130.id in listed
    assert CU128.id not in listed


def test_the_document_of_a_refusal():
    found = choose(FIRST, machine("550.54.15", "7.0"), ASK)
    error = NothingFitsError(found, ASK, summary(found.evaluations))
    document = json.loads(json.dumps(error.document()))
    assert (document["schema"], document["stack"], document["lockset"]) == (1, "vllm", None)
    assert len(document["refused"]) == 4
    assert document["nearest"]["lockset"] == VLLM.id
    assert document["nearest"]["changes"] == list(found.changes)
    assert document["reasons"] == [
        {
            "reason": "sm_70",
            "requirement": "compute-capability",
            "count": 4,
            "locksets": [each.lockset.id for each in shortest_first(found.evaluations)],
        }
    ]
    assert document["error"]["id"] == "nothing-fits"


def test_no_nearest_where_there_is_no_lockset():
    assert nearest_json(Refusal((), None, ())) is None
    assert reasons_json([]) == []


def test_a_lockset_of_stacks():
    found = lockset_json(evaluate(CU128, machine("535.54.03", "8.0"), Request(())))
    assert found["id"] == CU128.id
    assert found["variant"] == CU128.variant.path
    assert found["engines"] == {"vllm": "0.11.0"}
    assert (found["cuda"], found["torch"], found["pythons"]) == ("12.8", "2.8.0", ["3.12"])
    assert (found["preview"], found["tier"], found["fits"], found["failed"]) == (False, "locked", True, [])
    assert found["driver"] == {"minimum": "525.60.13", "toolkit": "570.124.06"}
    assert found["gpus"][0] == "8.0"
    assert "minor-version compatibility" in found["warnings"][0]
    assert "rocm" not in found
    assert "verdicts" not in found


def test_a_rocm_lockset_of_stacks():
    found = lockset_json(evaluate(ROCM7, machine("535.54.03", "8.0"), Request(())))
    assert (found["accelerator"], found["rocm"], found["driver"]) == ("rocm", "7.0.2", None)
    assert "cuda" not in found
    assert [each["requirement"] for each in found["failed"]] == ["accelerator"]


def test_verdicts_on_request():
    found = lockset_json(evaluate(VLLM, machine("535.54.03", "8.0"), Request(())), verdicts=True)
    assert [(each["requirement"], each["outcome"]) for each in found["verdicts"]] == [
        ("accelerator", "met"),
        ("driver", "warned"),
        ("compute-capability", "met"),
        ("compute-capability", "met"),
        ("compute-capability", "met"),
        ("arch", "met"),
        ("glibc", "met"),
        ("python", "met"),
    ]


def test_without_a_stack_an_optional_component_only_warns():
    found = lockset_json(evaluate(DEEPEP, machine("570.124.06", "8.0"), Request(())))
    assert found["fits"]
    assert found["warnings"] == [
        "deepep 1.1.0 does not run on sm_80 (GPU-8.0); it needs sm_90 or newer (only stacks that include it need this)"
    ]


def test_a_recorded_lockset_never_fits():
    found = lockset_json(evaluate(RECORDED, machine("550.54.15", "8.0"), Request(())))
    assert not found["fits"]
    assert [each["requirement"] for each in found["failed"]] == ["tier"]
    assert "its base image is private" in found["failed"][0]["message"]
