"""Every error text leads to its check, and only a text that says so does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.each import each
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.compile_checks import tables
from verl_env.doctor.facts import Facts
from verl_env.doctor.ingest.report import facts_of
from verl_env.doctor.run import evaluate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES: dict[str, Any] = tomllib.loads((Path(__file__).parent / "logs.toml").read_text(encoding="utf-8"))
CASES |= {name: {"texts": row["says"], "not": row.get("silent", [])} for name, row in tables().items() if "says" in row}
BY_ID = {check.id: check for check in CHECKS}
#: Needs the GPU that the message contradicts, so that its case is one of facts.
WITH_FACTS = {"extension-gpu-architecture", "sgl-kernel-variant"}

HITS = [(name, text) for name, case in CASES.items() for text in case["texts"]]
MISSES = [(name, text) for name, case in CASES.items() for text in case.get("not", [])]


@each(("name", "text"), HITS)
def test_text_leads_to_its_check(name: str, text: str) -> None:
    finding = evaluate(BY_ID[name], Facts(log=text))

    assert finding is not None
    assert finding.basis == "log"
    assert any(line.startswith("log: ") for line in finding.evidence)


@each(("name", "text"), HITS)
def test_text_is_found_in_the_noise_of_a_paste(name: str, text: str) -> None:
    noisy = "I did this:\r\n```\r\n$ python main.py\r\n" + text.replace("\n", "\r\n") + "\r\n```\r\nPlease help"

    facts = facts_of(noisy)

    assert evaluate(BY_ID[name], Facts(log=facts.log)) is not None


@each(("name", "text"), MISSES)
def test_another_text_does_not(name: str, text: str) -> None:
    assert evaluate(BY_ID[name], Facts(log=text)) is None


def test_every_check_that_reads_logs_has_a_case() -> None:
    reading = {check.id for check in CHECKS if check.log}

    assert reading - WITH_FACTS == set(CASES)


@each("check", CHECKS, lambda check: check.id)
def test_an_innocent_log_means_nothing(check: Any) -> None:
    log = "INFO 01-01 Loading weights took 3.2 seconds\nstep:1 - actor/loss:0.1 - timing_s/gen:12.0\nTraining done\n"

    assert evaluate(check, Facts(log=log)) is None
