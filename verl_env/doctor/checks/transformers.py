"""transformers and the Hugging Face libraries against verl and the engines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.abi_pairs import in_file
from verl_env.doctor.checks.dependencies import pinning, versions
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Check, Fix, Hit, Remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.doctor.engines.requirements import Missed
    from verl_env.doctor.facts import Facts


#: What transformers compares with its own ranges when it is imported (its dependency_versions_check).
_CHECKED_AT_IMPORT = frozenset({"huggingface-hub", "tokenizers", "safetensors"})


def _vision2seq(facts: Facts) -> Hit | None:
    if facts.matches("verl", "<=0.7.0") and facts.matches("transformers", ">=5"):
        return Hit(versions(facts, "verl", "transformers"))
    return None


def _aimv2(facts: Facts) -> Hit | None:
    if not (facts.matches("vllm", "<0.10") and facts.matches("transformers", ">=4.54")) or facts.rocm_torch:
        return None
    evidence = versions(facts, "vllm", "transformers")
    if facts.target is not None:
        registers = in_file(facts, "vllm/transformers_utils/configs/ovis.py", r'register\("aimv2"')
        if registers is None:
            title = f"{facts.named('transformers')} is newer than this vLLM was released with"
            return Hit(evidence, title, severity="warning")
        evidence += ('vllm/transformers_utils/configs/ovis.py: register("aimv2")',)
    return Hit(evidence)


def _older_transformers(facts: Facts) -> Remedy:
    text = "Go back to transformers 4.53.3 or older, or move to vLLM 0.10 or newer."
    floor = next(iter(_vllm_floor(facts)), "")
    return remedy(facts.shell, text, Fix(install=(f"transformers<=4.53.3{floor}",)))


def _vllm_floor(facts: Facts) -> list[str]:
    """The lower bound of transformers that the installed vLLM states."""
    for distribution in facts.target.distributions if facts.target else ():
        if distribution.name == "vllm":
            found = [re.match(r"transformers\s*\(?>=\s*([\d.]+)", line) for line in distribution.requires]
            return [f",>={match[1]}" for match in found if match]
    return []


def _transformers_560(facts: Facts) -> Hit | None:
    if not facts.matches("transformers", "==5.6.0"):
        return None
    return Hit(versions(facts, "transformers", "verl"), severity="error" if facts.installed("verl") else "warning")


def _kernels(facts: Facts) -> Hit | None:
    if not (facts.matches("transformers", ">=5.3,<5.4") and facts.matches("kernels", ">=0.11")):
        return None
    severe = facts.matches("kernels", ">=0.15")
    return Hit(versions(facts, "transformers", "kernels"), severity="error" if severe else "warning")


def _hub(facts: Facts) -> Hit | None:
    if facts.matches("transformers", ">=4.34,<5") and facts.matches("huggingface-hub", ">=1.0"):
        return Hit(versions(facts, "transformers", "huggingface-hub"))
    lost = [
        item
        for item in (facts.target.missed if facts.target else ())
        if item.package == "transformers" and item.name in _CHECKED_AT_IMPORT
    ]
    lines = [f"transformers wants {item.requirement}, installed: {item.installed or 'nothing'}" for item in lost]
    rows = ("D6",) if any(item.name == "huggingface-hub" for item in lost) else ("D0",)
    title = f"transformers refuses {lost[0].name} {lost[0].installed or ''}".strip() if lost else None
    return Hit((facts.named("transformers"), *lines), title, remedy=_meet(facts, lost), covers=rows) if lost else None


def _meet(facts: Facts, lost: Sequence[Missed]) -> Remedy:
    wanted = tuple(item.requirement for item in lost)
    return remedy(
        facts.shell, "Install what this transformers asks for, or go back to an older one.", Fix(install=wanted)
    )


def _hub_log(_: Facts, match: re.Match[str]) -> Hit:
    name = match["name"].replace("_", "-")
    return Hit(
        (), f"transformers refuses the installed {name}", covers=("D6",) if name == "huggingface-hub" else ("D0",)
    )


def _topleft(facts: Facts) -> Hit | None:
    if facts.matches("verl", "<0.6") and facts.matches("transformers", ">4.55.4"):
        return Hit(versions(facts, "verl", "transformers"), severity="warning")
    return None


CHECKS = (
    Check(
        id="transformers-vision2seq",
        theme="dependencies",
        severity="error",
        title="transformers 5 with a verl that still uses AutoModelForVision2Seq",
        cause="transformers 5 removed AutoModelForVision2Seq; verl 0.7.0 and older import it.",
        remedy=pinning("transformers", "<5", "Go back below transformers 5, or move to verl 0.7.1 or newer."),
        covers=("D2",),
        sources=("verl#5007", "verl PR#5445"),
        find=_vision2seq,
        log=(r"cannot import name '?AutoModelForVision2Seq'?",),
        explains=("verl-names", "model-inspection-failed"),
    ),
    Check(
        id="transformers-aimv2",
        theme="dependencies",
        severity="error",
        title="transformers 4.54 or newer with vLLM before 0.10",
        cause="transformers 4.54 brought a model type aimv2, which vLLM before 0.10 registers under the same name.",
        remedy=_older_transformers,
        covers=("D3",),
        sources=("vllm#22178", "GLM-V#84", "EuroEval#1117"),
        find=_aimv2,
        log=(r"'aimv2' is already used by a Transformers config",),
        explains=("hub-too-new", "model-inspection-failed"),
    ),
    Check(
        id="transformers-s-aux",
        theme="dependencies",
        severity="error",
        title="transformers 5.6.0 crashes in its flash-attention path",
        cause="A defect of that one release: s_aux=None is handed on.",
        remedy=pinning("transformers", "==5.6.1", "Move to 5.6.1."),
        covers=("D4",),
        sources=("transformers#45588", "verl setup.py"),
        find=_transformers_560,
    ),
    Check(
        id="transformers-kernels",
        theme="dependencies",
        severity="error",
        title="transformers 5.3 with a newer kernels",
        cause="hub_kernels of transformers 5.3 uses what kernels 0.15 removed.",
        remedy=pinning("kernels", ">=0.10.2,<0.11", "Go back to kernels 0.10."),
        covers=("D5",),
        sources=("transformers#46291", "verl pyproject.toml"),
        find=_kernels,
        log=(r"transformers/integrations/hub_kernels\.py[\s\S]{0,300}?ImportError",),
    ),
    Check(
        id="hub-too-new",
        theme="dependencies",
        severity="error",
        title="huggingface-hub 1.x with transformers 4",
        cause="transformers compares huggingface-hub, tokenizers and a few others with its own ranges at import.",
        remedy=pinning("huggingface-hub", "<1.0", "Go back below huggingface-hub 1.0, or move to transformers 5."),
        covers=("D6",),
        sources=("transformers PR#41973", "Hunyuan3D#104"),
        find=_hub,
        log=(
            r"(?<![\w-])(?P<name>[A-Za-z][\w-]*)[<>=!~][^\n]{1,40} is required for a normal functioning of this module",
        ),
        from_log=_hub_log,
        explains=("transformers-lazy-import", "model-inspection-failed", "requirements-unmet"),
    ),
    Check(
        id="transformers-flash-attn-utils",
        theme="dependencies",
        severity="error",
        title="transformers moved the flash-attention helpers that verl imports",
        cause="The helpers came with 4.48 and moved after 4.55; this verl imports them from the old place.",
        remedy=pinning("transformers", ">=4.48,<=4.55.4", "Stay between 4.48 and 4.55, or move to a newer verl."),
        covers=("D7",),
        sources=("verl PR#2985", "verl PR#3596", "verl PR#3608"),
        find=_topleft,
        log=(
            r"flash_attn_supports_top_left_mask",
            r"cannot import name '\w+' from 'transformers\.modeling_flash_attention",
        ),
        explains=("verl-names",),
    ),
)
