"""Whether a patch is for the vLLM at hand: decided from its source alone, before it is imported.

The gates in order: switched off, version, platform, target there, parameters, fingerprint, symptom. Each verdict says
why.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .registry import KNOWN, fingerprints
from .versions import in_range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .registry import Patch, Target
    from .source import Tree

APPLIED = "applied"
UNVERIFIED = "applied-unverified"
NOT_NEEDED = "not-needed"
DECLINED = "declined"
FAILED = "failed"
DISABLED = "disabled"

#: The state of a patch is the first of these that one of its targets is in.
ORDER = (FAILED, DECLINED, DISABLED, UNVERIFIED, APPLIED, NOT_NEEDED)

#: ``off`` for all, or ids of patches separated by commas: these are turned off.
SWITCH = "VERL_ENV_PATCHES"
#: Set: code that no fingerprint knows is left alone.
STRICT = "VERL_ENV_PATCHES_STRICT"

_OFF = {"off", "0", "false", "no", "none"}


@dataclass(frozen=True)
class Verdict:
    """A state with its reason."""

    state: str
    reason: str

    @property
    def acts(self) -> bool:
        """Whether the target is to be wrapped."""
        return self.state in {APPLIED, UNVERIFIED}


def switched_off(patch: Patch, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment variable turns the patch off."""
    value = environ.get(SWITCH, "").strip().lower()
    return value in _OFF or patch.id in {part.strip() for part in value.split(",")}


def decide(patch: Patch, target: Target, tree: Tree, environ: Mapping[str, str] = os.environ) -> Verdict:
    """The verdict on one target of a patch in one source tree."""
    if switched_off(patch, environ):
        return Verdict(DISABLED, f"{SWITCH}={environ.get(SWITCH, '')}")
    if tree.version is None or not tree.readable:
        archive = f"source of vLLM cannot be read: {tree.root} is not a folder"
        return Verdict(DECLINED, "the " + ("version of vLLM cannot be read" if tree.readable else archive))
    if patch.platform == "rocm" and "rocm" not in tree.version:
        return Verdict(NOT_NEEDED, f"vLLM {tree.version} is not built for ROCm")
    if not in_range(tree.version, *KNOWN):
        return _unknown_version(target, tree, tree.version)
    if not in_range(tree.version, target.low, target.high):
        return Verdict(NOT_NEEDED, _why_not(target, tree.version))
    return _by_source(target, tree, strict=environ.get(STRICT, "") not in {"", "0"})


def combined(verdicts: list[Verdict]) -> Verdict:
    """The state of a patch from the states of its targets: the worst, with every reason that goes with it."""
    state = next(state for state in ORDER if any(verdict.state == state for verdict in verdicts))
    reasons = dict.fromkeys(verdict.reason for verdict in verdicts if verdict.state == state and verdict.reason)
    return Verdict(state, "; ".join(reasons))


def _why_not(target: Target, version: str) -> str:
    if in_range(version, "0", target.low):
        return f"{target.module.rpartition('.')[2]} has the fault from vLLM {target.low} on"
    return f"from {target.high} on {target.mended}"


def _unknown_version(target: Target, tree: Tree, version: str) -> Verdict:
    function = tree.function(target.module, target.qualname)
    once_mended = not in_range(target.high, KNOWN[1], "9999")
    if once_mended and (function is None or not re.search(target.symptom, function.text)):
        return Verdict(NOT_NEEDED, f"vLLM {version} is unknown, and its source does not show the fault")
    return Verdict(DECLINED, f"vLLM {version} is unknown to this patch (known: {KNOWN[0]} to below {KNOWN[1]})")


def _by_source(target: Target, tree: Tree, *, strict: bool) -> Verdict:
    function = tree.function(target.module, target.qualname)
    if function is None:
        return Verdict(DECLINED, f"{target.name} is not there in vLLM {tree.version}")
    if function.parameters != target.parameters:
        return Verdict(DECLINED, f"{target.name} has other parameters: {', '.join(function.parameters)}")
    if function.fingerprint in fingerprints().get(target.name, {}):
        return Verdict(APPLIED, "")
    unknown = f"{target.name} has unknown source (fingerprint {function.fingerprint})"
    if not re.search(target.symptom, function.text):
        return Verdict(NOT_NEEDED, f"{unknown} without the fault")
    if strict:
        return Verdict(DECLINED, f"{unknown}, and {STRICT} is set")
    return Verdict(UNVERIFIED, f"{unknown} that shows the fault")
