"""What is to be proved: the environment and the machine, read from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.verify.model import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.doctor.facts import Facts


def subject_of(facts: Facts, lockset: str | None, environ: Mapping[str, str]) -> Subject:
    """The subject that the doctor's facts describe.

    Args:
        facts: Of an environment on this machine.
        lockset: What the environment was made from, where it says so.
        environ: ``CUDA_VISIBLE_DEVICES`` hides GPUs.
    """
    nvidia = facts.machine.nvidia or None
    devices = list(nvidia.devices) if nvidia else []
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        devices = devices[: len([each for each in visible.split(",") if each.strip() not in {"", "-1"}])]
    first = devices[0] if devices else None
    return Subject(
        lockset=lockset,
        python=str(facts.python or ""),
        gpu=_known(first.name) if first else None,
        gpus=len(devices),
        capability=_known(first.compute_capability) if first else None,
        driver=_known(nvidia.driver) if nvidia else None,
        packages={name: version for name, version in facts.packages.items() if isinstance(version, str)},
    )


def _known(value: object) -> str | None:
    return value if isinstance(value, str) else None
