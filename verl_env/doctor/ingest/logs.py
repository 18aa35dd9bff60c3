"""Causes of a failure by the text that it printed: a build log, a traceback, the output of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.facts import Facts
from verl_env.doctor.ingest.clean import clean
from verl_env.doctor.ingest.report import shortened
from verl_env.doctor.run import diagnose
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.doctor.check import Check
    from verl_env.doctor.model import Finding


def causes_in_log(text: str, facts: Facts | None = None, checks: Sequence[Check] = CHECKS) -> tuple[Finding, ...]:
    """The root causes of what a log shows, most severe first; ``explains`` names their consequences in the same log.

    Args:
        text: What a program printed, as it printed it.
        facts: What is known of the machine and the environment; it decides what a message means, words the remedies,
            and may be the root of what the log shows, but nothing is said of facts that the log shows nothing of.
        checks: The checks whose error texts are looked for.
    """
    reading = [check for check in checks if check.log]
    diagnosis = diagnose(replace(facts or Facts(), log=clean(shortened(text))), reading)
    shown = {finding.id for finding in diagnosis.findings if finding.basis != "facts"}
    return tuple(one for one in diagnosis.roots if one.basis != "facts" or not shown.isdisjoint(one.explains))
