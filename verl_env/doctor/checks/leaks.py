"""Packages from outside that the interpreter of the environment sees first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_STACK = frozenset(
    {"torch", "numpy", "transformers", "vllm", "sglang", "flash-attn", "ray", "triton", "nvidia-nccl-cu12"}
)
_SHOWN = 6


def _leaks(facts: Facts) -> Hit | None:
    """Distributions of PYTHONPATH or of the user's site that stand before those of the environment."""
    target = facts.target
    if target is None:
        return None
    found = [
        (one.name, one.version, site.path)
        for site in target.leaks
        for one in site.distributions
        if one.name in _STACK and facts.packages.get(one.name) != one.version
    ]
    if not found:
        return None
    lines = [f"{name} {version} in {path}; the environment has {_own(facts, name)}" for name, version, path in found]
    severe = any(name in {"torch", "numpy", "vllm", "triton"} for name, _, _ in found)
    return Hit(tuple(lines[:_SHOWN]), severity="error" if severe else "warning")


def _own(facts: Facts, name: str) -> str:
    return facts.packages.get(name) or "none"


def _leak_log(_: Facts, match: re.Match[str]) -> Hit | None:
    """A path of the user's site in the traceback of an environment."""
    text = match.string
    inside = re.search(r"/(?:envs?|\.?venv\w*|miniconda3|anaconda3|mambaforge|miniforge3)/\S*site-packages/", text)
    return Hit((f"also: {inside[0]}",)) if inside else None


CHECKS = (
    Check(
        id="packages-leak-in",
        theme="dependencies",
        severity="error",
        title="Packages from outside come before those of the environment",
        cause="~/.local and PYTHONPATH are searched before site-packages; modules and containers bring them in.",
        remedy=Remedy(
            "Shut them out.",
            ("export PYTHONNOUSERSITE=1", "unset PYTHONPATH"),
        ),
        covers=("G8",),
        sources=("KempnerForge#68", "archer2-docs PR#525", "TransformerEngine#1192", "pytorch#92132"),
        find=_leaks,
        log=(
            r"/\.local/lib/python3\.\d+/site-packages/(?:torch|numpy|transformers|flash_attn|vllm|sglang|ray|triton)\b",
        ),
        from_log=_leak_log,
        explains=(
            "flash-attn-abi",
            "extension-abi",
            "vllm-abi",
            "sgl-kernel-abi",
            "transformer-engine-abi",
            "vllm-op-missing",
            "model-inspection-failed",
        ),
    ),
)
