"""The machine against what the environment was planned and built for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds
from verl_env.doctor.model import Hit

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts


@finds("machine-misfit")
def _misfit(facts: Facts) -> Hit | None:
    lines = tuple(misfit.text for misfit in facts.misfits)
    return Hit(lines) if lines else None
