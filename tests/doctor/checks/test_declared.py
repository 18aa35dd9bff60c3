"""Checks come from their tables: keys that mean something, functions that have a table, facts that are compared."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from typing import get_args

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.checks.functions import FINDS, MENDS, READS
from verl_env.doctor.compile_checks import tables
from verl_env.doctor.facts import Facts
from verl_env.doctor.model import Severity, Theme
from verl_env.doctor.run import evaluate

ROWS = tables()
BY_ID = {check.id: check for check in CHECKS}
KEYS = {
    "title",
    "cause",
    "sources",
    "read",
    "within",
    "severity",
    "covers",
    "explains",
    "theme",
    "turn",
    "general",
    "late",
}
KEYS |= {"remedy", "commands", "install", "uninstall", "reinstall", "build", "safe"}
KEYS |= {"log", "log_of", "unless", "says_title", "beside", "when", "says", "silent"}


def test_every_key_means_something() -> None:
    for name, row in ROWS.items():
        assert row.keys() <= KEYS, name
        assert row["theme"] in get_args(Theme), name
        assert row["sources"], name
        assert date.fromisoformat(row["read"]) <= datetime.now(tz=timezone.utc).date(), name
        assert row.get("severity", "error") in get_args(Severity), name
        assert row.get("log_of", name) in ROWS, name
        for when in row.get("when", ()):
            assert when.keys() <= {"packages", "variables", "severity", "beside"}, name
            assert when.get("packages") or when.get("variables"), name


def test_a_check_is_said_in_one_way() -> None:
    """In its table or by a function, never in both, of which one would be dead."""
    for name, row in ROWS.items():
        assert ("remedy" in row) != (name in MENDS), name
        assert not ("when" in row and name in FINDS), name
        assert not (row.keys() & {"says_title", "unless"} and name in READS), name
        assert BY_ID[name].find or BY_ID[name].log, name


def test_every_function_has_its_table() -> None:
    assert {*FINDS, *READS, *MENDS} <= ROWS.keys()
    assert all(BY_ID[name].log for name in READS)


def test_words_of_the_match_are_those_of_its_groups() -> None:
    for name, row in ROWS.items():
        fields = set(re.findall(r"{(\w+)}", row.get("says_title", "")))
        groups = {group for pattern in BY_ID[name].log for group in re.compile(pattern).groupindex}
        assert fields <= groups | {"package"}, name


def test_the_first_table_of_facts_that_holds_is_found() -> None:
    check = BY_ID["vllm-use-v1"]
    facts = {value: Facts(packages={"vllm": "0.11.0"}, environment={"VLLM_USE_V1": value}) for value in ("0", "1")}

    found = {value: evaluate(check, one) for value, one in facts.items()}

    assert [(one.severity, one.evidence) for one in found.values() if one] == [
        ("warning", ("VLLM_USE_V1=0", "vllm 0.11.0")),
        ("info", ("VLLM_USE_V1=1", "vllm 0.11.0")),
    ]
    assert evaluate(check, Facts(packages={"vllm": "0.10.0"}, environment={"VLLM_USE_V1": "0"})) is None
    assert evaluate(check, Facts(packages={"vllm": "0.11.0"})) is None


def test_any_version_is_one_that_is_not_stated_too() -> None:
    check = BY_ID["ascend-triton"]

    finding = evaluate(check, Facts(packages={"triton": None, "triton-ascend": "3.2"}))

    assert finding is not None
    assert finding.evidence == ("triton", "triton-ascend 3.2")


def test_packages_of_a_remedy_become_commands_of_the_installer() -> None:
    finding = evaluate(BY_ID["transformers-vision2seq"], Facts(packages={"verl": "0.7.0", "transformers": "5.0"}))

    assert finding is not None
    assert finding.remedy.commands == ("pip install --no-deps 'transformers<5'",)
    assert finding.remedy.fix is not None
