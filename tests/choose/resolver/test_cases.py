"""Decisions as data: ``cases/*.json`` holds machines, requests, what the catalogue lacks, and what comes of it."""

import json
from pathlib import Path

import pytest

from tests.choose.resolver.world import LOCKSETS, USUAL, catalogue, machine
from verl_env.choose.choose import choose
from verl_env.choose.model import Choice, Request
from verl_env.errors import VerlEnvError

FILES = sorted((Path(__file__).parent / "cases").glob("*.json"))
CASES = [(file.stem, case) for file in FILES for case in json.loads(file.read_text())]
KEYS = {"name", "machine", "request", "locksets", "catalogue", "locks", "expect"}


def answer(case):
    request = {**case.get("request", {})}
    request["stack"] = tuple(request.get("stack", "vllm").split("+"))
    request["wishes"] = tuple(request.get("wishes", ()))
    locks = case.get("locks", {})
    return choose(
        [LOCKSETS[name] for name in case.get("locksets", USUAL)],
        machine(**case.get("machine", {})),
        Request(**request),
        components=catalogue(**case.get("catalogue", {})),
        locks=lambda lockset, python: {
            **locks.get(lockset.id.rpartition("/")[2], {}),
            **locks.get(f"{lockset.id.rpartition('/')[2]} {python}", {}),
        },
    )


def how(build):
    """``"prebuilt cu13"``, ``"build"``, ``"skip"``."""
    return f"{build.how} {build.wheel.file}" if build.wheel else build.how


def everything_said(found):
    said = [*found.warnings]
    for build in found.builds:
        said += [build.reason, *build.warnings, *(f"{way.what}: {way.reason}" for way in build.rejected)]
    for passed in found.passed:
        for missing in passed.missing:
            said += [f"{missing.name}: {way.what}: {way.reason}" for way in missing.rejected]
    return "\n".join(said)


def check(found, expect):
    assert (found.lockset.id.rpartition("/")[2], found.python) == (expect["lockset"], expect["python"])
    assert [build.name for build in found.builds] == [*expect["builds"]]
    for build in found.builds:
        assert how(build).startswith(expect["builds"][build.name].partition(" ")[0]), build
        assert expect["builds"][build.name].partition(" ")[2] in how(build), build
    assert [f"{each.lockset.id.rpartition('/')[2]} {each.python}" for each in found.passed] == expect.get("passed", [])
    assert list(found.extras) == expect.get("extras", [])
    said = everything_said(found)
    for words in expect.get("says", []):
        assert words in said
    for words in expect.get("silent", []):
        assert words not in said


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[f"{file}: {case['name']}" for file, case in CASES])
def test_decision(case):
    assert case.keys() <= KEYS
    expect = case["expect"]
    if "error" in expect:
        with pytest.raises(VerlEnvError) as caught:
            answer(case)
        assert caught.value.id == expect["error"]
        for words in expect["says"]:
            assert words in caught.value.message
        assert expect.get("hint", "") in caught.value.hint
    elif "refused" in expect:
        found = answer(case)
        failed = {
            each.lockset.id.rpartition("/")[2]: [one.message for one in each.failed] for each in found.evaluations
        }
        assert {name: said for name, said in failed.items() if name in expect["refused"]} == expect["refused"]
        assert all(words in "\n".join(found.changes) for words in expect.get("changes", []))
    else:
        found = answer(case)
        assert isinstance(found, Choice)
        check(found, expect)


def test_there_are_enough_cases_and_no_name_twice():
    names = [case["name"] for _, case in CASES]
    assert len(names) == len(set(names)) >= 50
