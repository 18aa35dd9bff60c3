"""transformers and the Hugging Face libraries against verl and the engines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.checks.packages.abi_pairs import in_file
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.doctor.engines.requirements import Missed
    from verl_env.doctor.facts import Facts


#: What transformers compares with its own ranges when it is imported (its dependency_versions_check).
_CHECKED_AT_IMPORT = frozenset({"huggingface-hub", "tokenizers", "safetensors"})


@finds("transformers-aimv2")
def _aimv2(facts: Facts) -> Hit | None:
    if not (facts.matches("vllm", "<0.10") and facts.matches("transformers", ">=4.54")) or facts.rocm_torch:
        return None
    evidence = facts.versions("vllm", "transformers")
    if facts.target is not None:
        registers = in_file(facts, "vllm/transformers_utils/configs/ovis.py", r'register\("aimv2"')
        if registers is None:
            title = f"{facts.named('transformers')} is newer than this vLLM was released with"
            return Hit(evidence, title, severity="warning")
        evidence += ('vllm/transformers_utils/configs/ovis.py: register("aimv2")',)
    return Hit(evidence)


@mends("transformers-aimv2")
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


@finds("hub-too-new")
def _hub(facts: Facts) -> Hit | None:
    if facts.matches("transformers", ">=4.34,<5") and facts.matches("huggingface-hub", ">=1.0"):
        return Hit(facts.versions("transformers", "huggingface-hub"))
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


@reads("hub-too-new")
def _hub_log(_: Facts, match: re.Match[str]) -> Hit:
    name = match["name"].replace("_", "-")
    return Hit(
        (), f"transformers refuses the installed {name}", covers=("D6",) if name == "huggingface-hub" else ("D0",)
    )
