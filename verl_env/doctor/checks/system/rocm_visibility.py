"""Variables that say which AMD GPUs a process sees, and who rewrites them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, reads
from verl_env.doctor.checks.system.rocm import is_amd
from verl_env.doctor.model import Hit

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts


@finds("visibility-variables")
def _masks(facts: Facts) -> Hit | None:
    """Verl's worker accepts one visibility variable, or equal ones."""
    values = {name: facts.variable(f"{name}_VISIBLE_DEVICES") for name in ("ROCR", "HIP", "CUDA")}
    given = {name: value for name, value in values.items() if value}
    if not is_amd(facts) or len(given) < 2 or not facts.installed("verl"):  # noqa: PLR2004  one is right
        return None
    if "ROCR" not in given and len(set(given.values())) == 1:
        return None
    return Hit(tuple(f"{name}_VISIBLE_DEVICES={value}" for name, value in given.items()))


@finds("visibility-nested")
def _double_mask(facts: Facts) -> Hit | None:
    """Indices of HIP count within what ROCR left."""
    outer = [part for part in (facts.variable("ROCR_VISIBLE_DEVICES") or "").split(",") if part.strip()]
    inner = facts.variable("HIP_VISIBLE_DEVICES") or (is_amd(facts) and facts.variable("CUDA_VISIBLE_DEVICES")) or ""
    numbers = [int(part) for part in inner.split(",") if part.strip().isdigit()]
    if not outer or not numbers or max(numbers) < len(outer):
        return None
    return Hit((f"ROCR leaves {len(outer)} devices", f"an index {max(numbers)} is asked for"))


@finds("ray-noset-hip")
def _noset(facts: Facts) -> Hit | None:
    names = ("RAY_EXPERIMENTAL_NOSET_HIP_VISIBLE_DEVICES", "RAY_EXPERIMENTAL_NOSET_ROCR_VISIBLE_DEVICES")
    if not facts.rocm_torch or not facts.installed("ray") or not facts.matches("vllm", "<0.16"):
        return None
    if not all(map(facts.unset, names)):
        return None
    return Hit(facts.versions("ray", "vllm"), severity="warning")


@finds("ray-zero-gpu-actor")
def _zero_gpu(facts: Facts) -> Hit | None:
    if not facts.rocm_torch or not facts.installed("ray", "sglang") or not facts.matches("verl", "<0.9"):
        return None
    if not facts.unset("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        return None
    return Hit(facts.versions("verl", "ray", "sglang"), severity="warning")


def _with_ray(facts: Facts, match: re.Match[str]) -> bool:
    return facts.installed("ray") or re.search(r"(?i)\bray\b", match.string) is not None


@reads("ray-noset-hip")
def _ordinal_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    return Hit(facts.versions("ray", "vllm")) if _with_ray(facts, match) else None


@reads("visibility-nested")
def _nested_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """Where nothing of both masks is stated, no device is all that is said."""
    return Hit(()) if "No HIP" not in match[0] and not _with_ray(facts, match) else None
