"""Failures that no check was written for: each is named by its root, said to be unknown, or no failure at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from verl_env.constraints import parse_toml
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.ingest.report import facts_of
from verl_env.doctor.reports import diagnose_report

CASES: dict[str, dict[str, Any]] = parse_toml(Path(__file__).with_name("fresh.toml"))


@pytest.mark.parametrize("name", CASES)
def test_root(name: str) -> None:
    case = CASES[name]

    diagnosis = diagnose_report(facts_of(case["text"]), CHECKS)
    errors = [one.id for one in diagnosis.roots if one.severity == "error"]

    if not case["root"]:
        assert diagnosis.ok is True, (errors, diagnosis.unrecognised)
    elif case["root"] == ["?"]:
        assert diagnosis.ok is None
        assert diagnosis.unrecognised
    else:
        assert set(errors) & set(case["root"]), (errors, diagnosis.unrecognised)
        assert diagnosis.ok is False
        assert bool(diagnosis.unrecognised) == case.get("unknown", False)
