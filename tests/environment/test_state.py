import json

import pytest

from tests.install.plans import lockset, native, plan, wheel
from verl_env.environment.state import FILE, Extra, State, read_state, write_state
from verl_env.locksets.model import Package
from verl_env.plans.plan import plan_digest
from verl_env.records import replace

STATE = State(
    path="/srv/.venv",
    lockset="verl0.1/demo",
    stack="vllm",
    python="3.10",
    digest="d",
    verl_source=None,
    left_out={"apex": "no wheel"},
    checks=("import-demo",),
    env={"A": "1"},
    extras=(Extra("wandb", "0.17", wish="wandb>=0.17"), Extra("mine", "1", "file:///srv/mine", editable=True)),
    drift={"numpy": "2.1", "ray": None},
    deviations={"flash-attn": "2.7.4.post1"},
)
PACKAGES = (Package("demo", "1.0", ("sha256:00",)),)


def test_a_state_survives_the_file(tmp_path):
    write_state(tmp_path, STATE)
    assert read_state(tmp_path) == STATE
    assert json.loads((tmp_path / FILE).read_text())["schema"] == 1


def test_a_state_of_before_there_were_extras(tmp_path):
    write_state(tmp_path, STATE)
    data = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({key: data[key] for key in data if key not in {"extras", "drift"}}))
    assert read_state(tmp_path) == replace(STATE, extras=(), drift={})


@pytest.mark.parametrize(
    "text", ["", "nothing", "[]", "{}", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "checks": null}']
)
def test_what_is_no_state_reads_as_none(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    assert read_state(tmp_path) is None


def test_a_state_with_a_key_too_many_is_of_another_version(tmp_path):
    write_state(tmp_path, STATE)
    data = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(data | {"later": 1}))
    assert read_state(tmp_path) is None


def test_no_file_is_no_state(tmp_path):
    assert read_state(tmp_path) is None


def test_a_digest_is_that_of_what_is_in_the_environment():
    base = plan(PACKAGES)
    assert plan_digest(base, "r") == plan_digest(plan(PACKAGES), "r")
    assert plan_digest(base, "r") == plan_digest(replace(base, warnings=("w",), interpreter="/other"), "r")


@pytest.mark.parametrize(
    "other",
    [
        plan([Package("demo", "1.1", ("sha256:00",))]),
        plan(PACKAGES, lock=lockset(id="verl0.1/other")),
        plan(PACKAGES, lock=lockset(env={})),
        plan(PACKAGES, lock=lockset(natives=(native(),))),
        plan(PACKAGES, lock=lockset(natives=(native(wheels=[wheel("https://h/a-1-py3-none-any.whl")]),))),
        plan(PACKAGES, verl_source="/src/verl"),
    ],
)
def test_a_digest_differs_with_what_is_in_it(other):
    assert plan_digest(other, "r") != plan_digest(plan(PACKAGES), "r")


def test_a_digest_differs_with_the_runtime():
    assert plan_digest(plan(PACKAGES), "r") != plan_digest(plan(PACKAGES), "s")
