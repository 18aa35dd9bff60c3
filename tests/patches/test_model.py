from __future__ import annotations

import pytest

from verl_env.patches.model import PatchState, parse_report


def document(*states, **more):
    patches = [{"id": f"p{n}", "state": state, "reason": "r", "in_force": True} for n, state in enumerate(states)]
    return {"schema": 1, "vllm": "0.8.2", "patches": patches, "faults": [], **more}


CASES = [
    (["applied", "not-needed"], {}, True),
    (["applied-unverified", "disabled"], {}, True),
    (["applied", "declined"], {}, False),
    (["failed"], {}, False),
    (["applied"], {"hook": False, "process": "main"}, False),
    (["applied"], {"hook": True, "process": "main"}, True),
    (["applied"], {"faults": ["arm: KeyError: x"]}, False),
    (["declined"], {"vllm": None}, True),
]


@pytest.mark.parametrize(("states", "more", "ok"), CASES)
def test_what_is_in_order(states, more, ok):
    assert parse_report(document(*states, **more), installed=True, hidden=None).ok is ok


def test_a_process_that_was_skipped_is_in_order():
    report = parse_report({"process": "ray", "skipped": "Ray is not installed"}, installed=True, hidden=None)
    assert report.ok
    assert report.skipped == "Ray is not installed"


def test_the_process_and_the_proof_are_shown_only_where_there_is_one():
    assert PatchState("a", "applied", "").to_json() == {"id": "a", "state": "applied", "reason": ""}
    shown = PatchState("a", "applied", "", "spawn").to_json()
    assert (shown["process"], shown["probed"]) == ("spawn", False)


def test_a_document_without_its_keys_is_an_error():
    with pytest.raises(KeyError):
        parse_report({"schema": 1}, installed=True, hidden=None)
