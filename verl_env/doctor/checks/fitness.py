"""The machine against what the environment was planned and built for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.command_line import command
from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts


def _misfit(facts: Facts) -> Hit | None:
    lines = tuple(misfit.text for misfit in facts.misfits)
    return Hit(lines) if lines else None


CHECKS = (
    Check(
        id="machine-misfit",
        theme="gpu",
        severity="error",
        title="The environment was made for another machine, and this one does not do",
        cause=(
            "An environment is planned for one machine, often by its record on a host without GPUs; this machine lacks "
            "what its lockset needs, or has GPUs that nothing was built for."
        ),
        remedy=Remedy(
            "Run it on a machine that fits, or make an environment for this one elsewhere; what fits it:",
            (command("stacks"),),
        ),
        covers=(),
        sources=("verl-env.json and the lockset's requirements",),
        find=_misfit,
        explains=("driver-too-old", "torch-gpu-architecture", "extension-gpu-architecture", "gfx-not-built"),
    ),
)
