"""Packages from outside that the interpreter of the environment sees, before its own or where it has none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, reads
from verl_env.doctor.model import Hit

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts
    from verl_env.doctor.target import InspectedEnvironment

_STACK = frozenset(
    {"torch", "numpy", "transformers", "vllm", "sglang", "flash-attn", "ray", "triton", "nvidia-nccl-cu12"}
)
#: Those whose other release breaks what is compiled against them.
_CORE = frozenset({"torch", "numpy", "vllm", "triton"})
_SHOWN = 6


@finds("packages-leak-in")
def _before(facts: Facts) -> Hit | None:
    """Distributions that stand before those of the environment, in another release."""
    target = facts.target
    if target is None:
        return None
    own = {one.name: one.version for site in target.sites for one in site.distributions}
    found = [
        (one.name, one.version, site.path)
        for site in target.before
        for one in site.distributions
        if one.name in _STACK and own.get(one.name) != one.version
    ]
    if not found:
        return None
    lines = [
        f"{name} {version} in {path}; the environment has {own.get(name) or 'none'}" for name, version, path in found
    ]
    severe = any(name in _CORE for name, _, _ in found)
    return Hit(tuple(lines[:_SHOWN]), severity="error" if severe else "warning")


@finds("packages-from-outside")
def _filled(facts: Facts) -> Hit | None:
    """Packages that a venv with system packages has not itself and takes from outside."""
    target = facts.target
    if target is None:
        return None
    own = {one.name for site in target.sites for one in site.distributions}
    lines, by_user = [], False
    for one in target.distributions:
        if one.name in _STACK and one.name not in own and any(one.site == site.path for site in target.after):
            lines.append(f"{one.name} {one.version} comes from {one.site}")
            by_user |= _is_users(target, one.site)
    return Hit(tuple(lines[:_SHOWN]), severity="warning" if by_user else "info") if lines else None


def _is_users(target: InspectedEnvironment, site: str) -> bool:
    """Whether a directory is the user's own, whose packages belong to no environment."""
    base = target.config.get("home", "").rpartition("/")[0]
    return not site.startswith(f"{base}/")


@reads("packages-leak-in")
def _leak_log(_: Facts, match: re.Match[str]) -> Hit | None:
    """A path of the user's site in the traceback of an environment."""
    text = match.string
    inside = re.search(r"/(?:envs?|\.?venv\w*|miniconda3|anaconda3|mambaforge|miniforge3)/\S*site-packages/", text)
    return Hit((f"also: {inside[0]}",)) if inside else None
