"""Decisions as data: ``cases/*.json`` holds machines, requests and what the chooser must answer."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.choose.build import SETS, choose
from verl_env.choose.explain import summary
from verl_env.choose.model import Choice, Refusal, Request
from verl_env.errors import VerlEnvError
from verl_env.machine.record import machine_from_json

FILES = sorted((Path(__file__).parent / "cases").glob("*.json"))
CASES = [(file.stem, case) for file in FILES for case in json.loads(file.read_text())]


def request_of(data):
    return Request(**{**data, "stack": tuple(data["stack"].split("+")) if data["stack"] else ()})


def answer(case):
    return choose(SETS[case["locksets"]], machine_from_json(case["machine"]), request_of(case["request"]))


def check_choice(found, expect):
    assert isinstance(found, Choice)
    assert found.lockset.id == expect["lockset"]
    assert (found.python, found.interpreter) == (expect["python"], expect["interpreter"])
    assert len(found.warnings) == len(expect["warnings"]), found.warnings
    for said, wanted in zip(found.warnings, expect["warnings"], strict=True):
        assert wanted in said


def check_refusal(found, expect):
    assert isinstance(found, Refusal)
    assert found.nearest.lockset.id == expect["nearest"]
    failed = {each.lockset.id: Counter(verdict.requirement for verdict in each.failed) for each in found.evaluations}
    for lockset, wanted in expect["failed"].items():
        assert failed[lockset] == Counter(wanted), lockset
    if "have" in expect:
        assert [verdict.have for verdict in found.nearest.failed] == [expect["have"]]
    said = "\n".join(verdict.message for each in found.evaluations for verdict in each.failed)
    for wanted in expect["says"]:
        assert wanted in said
    assert len(found.hints) == expect["hints"]
    for wanted in expect["changes"]:
        assert wanted in "\n".join(found.changes)
    if "summary" in expect:
        assert summary(found.evaluations) == expect["summary"]


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[f"{name}: {case['name']}" for name, case in CASES])
def test_decision(case):
    expect = case["expect"]
    if "error" in expect:
        with pytest.raises(VerlEnvError) as caught:
            answer(case)
        assert (caught.value.id, caught.value.exit_code) == (expect["error"], expect["exit"])
        assert all(wanted in caught.value.message for wanted in expect["says"]), caught.value.message
        assert expect["hint"] in caught.value.hint
    elif expect["lockset"] is None:
        check_refusal(answer(case), expect)
    else:
        check_choice(answer(case), expect)


def test_there_are_enough_cases_and_no_name_twice():
    names = [case["name"] for _, case in CASES]
    assert len(names) == len(set(names)) >= 70
