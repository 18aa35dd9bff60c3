"""What the machine refuses is told apart from what no lockset holds, each with where that is known from."""

from __future__ import annotations

import re

import pytest

from verl_env.choose.choose import choose
from verl_env.choose.coverage import kind_of, kind_of_refusal, origin
from verl_env.choose.model import Refusal, Request
from verl_env.choose.to_json import refusal_json
from verl_env.locksets.catalogue import load_catalogue
from verl_env.machine.describe import describe
from verl_env.machine.model import Machine

FLEET = ("h100:8", "570.133.20")
OLD = ("v100:8", "570.133.20")


def refused(gpu: str, driver: str, *wishes: str) -> Refusal:
    machine = describe(Machine(), gpus=[gpu], driver=driver, glibc="2.35", arch="x86_64")
    found = choose(load_catalogue(), machine, Request(("vllm",), wishes=wishes))
    assert isinstance(found, Refusal)
    return found


def test_a_newer_engine_for_this_driver_is_not_covered_but_possible() -> None:
    refusal = refused(*FLEET, "vllm>0.30.0")

    assert kind_of_refusal(refusal.nearest, refusal.uncovered) == "not-covered"
    assert len(refusal.uncovered) == 1
    assert re.search(r"vllm 0\.\d+\.\d+ is published for CUDA 12\.9 too", refusal.uncovered[0])
    assert re.search(r"\d{4}-\d\d-\d\d", refusal.uncovered[0])


@pytest.mark.parametrize("machine", [(FLEET[0], "450.80.02"), OLD], ids=["older driver", "older GPU"])
def test_what_the_machine_refuses_is_impossible(machine: tuple[str, str]) -> None:
    refusal = refused(*machine)

    assert refusal.uncovered == ()
    assert kind_of_refusal(refusal.nearest, ()) == "impossible"


def test_every_refusal_says_its_kind_and_where_it_is_known_from() -> None:
    refusal = refused(*FLEET, "vllm>0.30.0")
    failed = [one for entry in refusal_json(refusal, Request(("vllm",)))["refused"] for one in entry["failed"]]

    assert {one["kind"] for one in failed} == {"impossible", "not-covered"}
    assert all(one["source"] for one in failed)
    assert {one["kind"] for one in failed if one["requirement"] == "driver"} == {"impossible"}


def test_sources_are_those_of_the_requirement() -> None:
    refusal = refused(*OLD)
    lockset, verdict = next(
        (each.lockset, one) for each in refusal.evaluations for one in each.failed if "sm_70" in one.brief
    )

    assert kind_of(verdict) == "impossible"
    assert origin(verdict, lockset) in {need.source for need in lockset.requires.gpu}
