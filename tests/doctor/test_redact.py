"""What must not be in a public report, and what must stay in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.doctor.facts import Facts
from verl_env.doctor.ingest.report import facts_of
from verl_env.doctor.redact import redact, redact_json
from verl_env.doctor.reporting import report_of

TOKEN = "hf_" + "a1B2" * 6


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"HF_TOKEN={TOKEN}", "TOKEN"),
        ("ghp_" + "x" * 36, "TOKEN"),
        ("password: hunter2222", "password: TOKEN"),
        ("http://me:secret@proxy:3128", "http://USER:PASSWORD@HOST:3128"),
        ("GPU-12345678-1234-1234-1234-123456789abc", "GPU-UUID"),
        ("12345678-1234-1234-1234-123456789ABC", "UUID"),
        ("node at 10.1.2.3", "node at ADDRESS"),
        ("mail me@site.org", "mail USER@HOST"),
        ("/home/jane/envs/v/lib/python3.10/site-packages/torch/x.so", "/PATH/lib/python3.10/site-packages/torch/x.so"),
        ("/scratch/p42/jane/run.py", "/PATH/run.py"),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("torch 2.6.0+cu124", "torch 2.6.0+cu124"),
        ("driver 550.54.15", "driver 550.54.15"),
    ],
)
def test_redacted(text: str, wanted: str) -> None:
    assert wanted in redact(text)


def test_names_go_where_they_stand_as_words() -> None:
    assert redact("jane on node17, janeiro", names=("jane", "node17")) == "NAME on NAME, janeiro"


def test_json_keeps_its_shape() -> None:
    data = {"a": [f"x {TOKEN}", 5, None, {"b": "/home/jane/f"}], "c": True}

    assert redact_json(data) == {"a": ["x TOKEN", 5, None, {"b": "/PATH/f"}], "c": True}


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


def test_a_report_reads_back() -> None:
    facts = Facts(
        python="3.10.4",
        packages={"torch": "2.6.0+cu124", "x": None},
        environment={
            "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
            "HF_TOKEN": TOKEN,
            "HOME": "/home/jane",
            "MY_SECRET": "s",
        },
        torch_flavour="12.4",
        lockset="a/b",
    )
    text = json.dumps(report_of(facts, hide=True))

    again = facts_of(text)
    assert TOKEN not in text
    assert "jane" not in text
    assert (again.python, again.packages, again.torch_flavour) == ("3.10.4", facts.packages, "12.4")
    assert again.environment == {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}
