"""Variables that say which AMD GPUs a process sees, and who rewrites them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.dependencies import versions
from verl_env.doctor.checks.rocm import is_amd
from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts


def _ray_mask(facts: Facts) -> Hit | None:
    value = facts.variable("ROCR_VISIBLE_DEVICES")
    if value is None or not facts.matches("ray", ">=2.45"):
        return None
    return Hit((f"ROCR_VISIBLE_DEVICES={value}", facts.named("ray")))


def _masks(facts: Facts) -> Hit | None:
    """Verl's worker accepts one visibility variable, or equal ones."""
    values = {name: facts.variable(f"{name}_VISIBLE_DEVICES") for name in ("ROCR", "HIP", "CUDA")}
    given = {name: value for name, value in values.items() if value}
    if not is_amd(facts) or len(given) < 2 or not facts.installed("verl"):  # noqa: PLR2004  one is right
        return None
    if "ROCR" not in given and len(set(given.values())) == 1:
        return None
    return Hit(tuple(f"{name}_VISIBLE_DEVICES={value}" for name, value in given.items()))


def _double_mask(facts: Facts) -> Hit | None:
    """Indices of HIP count within what ROCR left."""
    outer = [part for part in (facts.variable("ROCR_VISIBLE_DEVICES") or "").split(",") if part.strip()]
    inner = facts.variable("HIP_VISIBLE_DEVICES") or (is_amd(facts) and facts.variable("CUDA_VISIBLE_DEVICES")) or ""
    numbers = [int(part) for part in inner.split(",") if part.strip().isdigit()]
    if not outer or not numbers or max(numbers) < len(outer):
        return None
    return Hit((f"ROCR leaves {len(outer)} devices", f"an index {max(numbers)} is asked for"))


def _noset(facts: Facts) -> Hit | None:
    names = ("RAY_EXPERIMENTAL_NOSET_HIP_VISIBLE_DEVICES", "RAY_EXPERIMENTAL_NOSET_ROCR_VISIBLE_DEVICES")
    if not facts.rocm_torch or not facts.installed("ray") or not facts.matches("vllm", "<0.16"):
        return None
    if not all(map(facts.unset, names)):
        return None
    return Hit(versions(facts, "ray", "vllm"), severity="warning")


def _zero_gpu(facts: Facts) -> Hit | None:
    if not facts.rocm_torch or not facts.installed("ray", "sglang") or not facts.matches("verl", "<0.9"):
        return None
    if not facts.unset("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        return None
    return Hit(versions(facts, "verl", "ray", "sglang"), severity="warning")


def _with_ray(facts: Facts, match: re.Match[str]) -> bool:
    return facts.installed("ray") or re.search(r"(?i)\bray\b", match.string) is not None


def _ordinal_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    return Hit(versions(facts, "ray", "vllm")) if _with_ray(facts, match) else None


def _nested_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    return Hit(()) if "No HIP" in match[0] or not _with_ray(facts, match) else None


CHECKS = (
    Check(
        id="rocr-with-ray",
        theme="rocm",
        severity="error",
        title="Ray refuses ROCR_VISIBLE_DEVICES",
        cause="Ray 2.45 and newer manage HIP_VISIBLE_DEVICES; sites and Slurm set the other one.",
        remedy=Remedy(
            "Move the value.",
            ("export HIP_VISIBLE_DEVICES=$ROCR_VISIBLE_DEVICES", "unset ROCR_VISIBLE_DEVICES"),
        ),
        covers=("I3",),
        sources=("ray#53737", "ray PR#51104", "verl#1399"),
        find=_ray_mask,
        log=(r"Please use HIP_VISIBLE_DEVICES instead of ROCR_VISIBLE_DEVICES",),
        explains=("visibility-variables", "visibility-nested"),
    ),
    Check(
        id="visibility-variables",
        theme="rocm",
        severity="error",
        title="Several visibility variables contradict each other",
        cause="verl's worker wants one of ROCR, HIP and CUDA_VISIBLE_DEVICES, or equal values.",
        remedy=Remedy("Keep exactly one.", ("unset ROCR_VISIBLE_DEVICES CUDA_VISIBLE_DEVICES",)),
        covers=("I4",),
        sources=("verl worker.py", "verl PR#1465"),
        find=_masks,
        log=(
            r"Please don't set ROCR_VISIBLE_DEVICES when HIP/CUDA_VISIBLE_DEVICES is set",
            r"Please use the same HIP_VISIBLE_DEVICES or CUDA_VISIBLE_DEVICES",
        ),
    ),
    Check(
        id="visibility-nested",
        theme="rocm",
        severity="error",
        title="An index lies outside of the visible devices",
        cause="ROCR masks first; HIP and CUDA indices then count within what is left.",
        remedy=Remedy("Use one variable.", ("unset ROCR_VISIBLE_DEVICES",)),
        covers=("I5",),
        sources=("Parsl#3858", "vllm#12572"),
        find=_double_mask,
        log=(r"No HIP GPUs are available", r"HIP error: invalid device ordinal"),
        from_log=_nested_log,
    ),
    Check(
        id="ray-noset-hip",
        theme="rocm",
        severity="error",
        title="Ray rewrites the visible devices after HIP has read them",
        cause="HIP reads visibility at import; verl's image tells Ray to leave the variables alone.",
        remedy=Remedy(
            "Tell Ray.",
            (
                "export RAY_EXPERIMENTAL_NOSET_HIP_VISIBLE_DEVICES=1",
                "export RAY_EXPERIMENTAL_NOSET_ROCR_VISIBLE_DEVICES=1",
            ),
        ),
        covers=("I6",),
        sources=("vllm PR#33308", "verl platform_rocm.py"),
        find=_noset,
        log=(r"HIP error: invalid device ordinal", r"hipErrorInvalidDevice\b"),
        from_log=_ordinal_log,
        explains=("visibility-nested",),
    ),
    Check(
        id="ray-zero-gpu-actor",
        theme="rocm",
        severity="warning",
        title="Ray hides the GPUs from actors that ask for none",
        cause="SGLang's server actor asks for no GPU and then sees none; verl 0.9 sets the variable itself.",
        remedy=Remedy("Set it.", ("export RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0",)),
        covers=("I7",),
        sources=("verl PR#6664",),
        find=_zero_gpu,
    ),
)
