"""No check without a case: one where it speaks, one where it is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.doctor.checks import test_environments, test_facts, test_host_facts, test_logs
from tests.each import each
from verl_env.doctor.checks import CHECKS

if TYPE_CHECKING:
    from verl_env.doctor.check import Check

BY_FACTS = {case["check"] for case in test_facts.CASES} | {case[0] for case in test_host_facts.CASES}
BY_FACTS |= set(test_environments.CASES)
#: Cases of their own: what a login node says, and what the patches of an environment say (``test_patches``).
ELSEWHERE = {"component-left-out", "no-gpu-here", "patches-absent", "hook-damaged"}


@each("check", [check for check in CHECKS if check.find], lambda check: check.id)
def test_every_check_of_facts_has_a_hit_and_a_miss(check: Check) -> None:
    assert check.id in BY_FACTS | ELSEWHERE


@each("check", [check for check in CHECKS if check.log], lambda check: check.id)
def test_every_check_of_logs_has_a_text(check: Check) -> None:
    assert check.id in set(test_logs.CASES) | test_logs.WITH_FACTS


def test_no_case_is_for_a_check_that_is_not_there() -> None:
    assert BY_FACTS | set(test_logs.CASES) <= {check.id for check in CHECKS}
