"""verl against the engines and Megatron: names that moved, releases that do not go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.checks.packages.dependencies import window
from verl_env.doctor.model import Hit, Remedy
from verl_env.doctor.names.known import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from verl_env.doctor.engines.names import Lost
    from verl_env.doctor.facts import Facts

_SHOWN = 5
#: Files of verl that every run with an engine imports.
_ALWAYS = re.compile(
    r"/verl/(?:workers/rollout/(?:vllm|sglang)_rollout|utils/vllm|third_party/(?:vllm|sglang)/__init__)"
)
_ALWAYS_TRANSFORMERS = re.compile(r"/verl/(?:utils|workers)/")
#: What every release of vLLM has at its top; where it is missing, something else is imported.
_ALWAYS_THERE = frozenset({"LLM", "SamplingParams", "LLMEngine"})
_ROWS = {"get_tcp_uri": "E2", "MaxLoRARanks": "E3"}
_BRIDGE_PAIR = {"0.5.2": "0.18.0"}


def _row(name: str) -> str:
    return _ROWS.get(name, "E4")


def _names(module: str) -> Callable[[Facts], Hit | None]:
    def find(facts: Facts) -> Hit | None:
        target = facts.target
        lost = [one for one in target.lost_names if one.module.split(".")[0] == module] if target else []
        if not lost or target is None:
            return None
        lines = [
            f"{target.relative(one.file)}:{one.line} imports {one.name} from {one.module}" for one in lost[:_SHOWN]
        ]
        rows = tuple(dict.fromkeys(_row(one.name) for one in lost))
        severe = any(_is_needed(one) for one in lost)
        return Hit((*lines, *facts.versions("verl", module)), severity="error" if severe else "warning", covers=rows)

    return find


def _is_needed(lost: Lost) -> bool:
    pattern = _ALWAYS_TRANSFORMERS if lost.module.startswith("transformers") else _ALWAYS
    return pattern.search(Path(lost.file).as_posix()) is not None


def shadowed(match: re.Match[str]) -> bool:
    """Whether what was imported is no installed package: a file of that name, a folder, or one half imported."""
    place = re.match(r"[^\n(]{0,40}\((?P<path>[^)\n]*)\)", match.string[match.end() :])
    if "partially initialized" in match[0] or "circular import" in match.string[match.end() : match.end() + 300]:
        return True
    path = place["path"] if place else ""
    package = (match.groupdict().get("module") or "").split(".")[0]
    return path == "unknown location" or path.endswith(f"/{package}.py")


@reads("vllm-names", "sglang-names", "verl-names")
def _name_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """A name that an engine does not have; compiled modules and circular imports are other failures."""
    name, module = match.groupdict().get("name") or "", match.groupdict().get("module") or ""
    if module.endswith(("._C", "._moe_C")) or name.startswith("__") or name in _ALWAYS_THERE or shadowed(match):
        return None
    if module == "transformers" and not facts.installed("verl") and "verl" not in match.string:
        return None  # whoever asks: the family of vanished names tells
    title = f"{module or 'vllm'} has no {name}" if name else f"there is no module {module}"
    project = (module or "vllm").partition(".")[0]
    known = told(project, module or "vllm", name, facts.version(project))
    return Hit((*facts.versions("verl", "vllm", "sglang"), *known), title, covers=(_row(name),))


@finds("vllm-window")
def _engine_window(facts: Facts) -> Hit | None:
    asked = window(facts, "vllm")
    vllm = facts.version("vllm")
    if asked is None or vllm is None or facts.matches("vllm", asked) or facts.rocm_torch or vllm.is_devrelease:
        return None
    title = f"{facts.named('verl')} goes with vLLM {asked}, not {vllm}"
    return Hit((*facts.versions("verl", "vllm"), f"verl's own range of vLLM: {asked}"), title)


@mends("vllm-names", "sglang-names", "vllm-window")
def _lockset(facts: Facts) -> Remedy:
    verl = facts.version("verl")
    pin = f" --verl {verl.major}.{verl.minor}" if verl else ""
    return Remedy("Take an engine of the range that this verl is written for.", (f"verl-env plan --stack vllm{pin}",))


@reads("moe-weight-loader")
def _moe_log(facts: Facts, match: re.Match[str]) -> Hit:
    """The same attribute is missing where a loader of a quantization does not know a parameter."""
    trained = facts.installed("verl") or re.search(r"\bverl\b|FSDP|GRPO|RLHF|update_weights", match.string)
    return Hit(facts.versions("vllm", "verl"), severity="error" if trained else "warning")


@finds("megatron-bridge")
def _bridge(facts: Facts) -> Hit | None:
    version, core = facts.packages.get("megatron-bridge"), facts.version("megatron-core")
    wanted = _BRIDGE_PAIR.get(version or "")
    if wanted and core and core.public != wanted:
        lines = (*facts.versions("megatron-bridge", "megatron-core"), f"megatron-bridge {version} goes with {wanted}")
        return Hit(lines, severity="warning")
    if facts.matches("verl", ">=0.9.0.dev0") and facts.installed("megatron-core") and facts.absent("megatron-bridge"):
        evidence = (*facts.versions("verl", "megatron-core"), "megatron-bridge is not installed")
        return Hit(evidence, severity="warning")
    return None


@finds("install-sources-mixed")
def _sources(facts: Facts) -> Hit | None:
    """Pieces of verl's older install script beside a verl that its uv lock belongs to."""
    if not facts.matches("verl", ">=0.9"):
        return None
    old = [
        facts.named(name)
        for name, spec in (("sglang", "==0.5.2"), ("megatron-core", "==0.13.1"), ("transformer-engine", "<2.7"))
        if facts.matches(name, spec)
    ]
    return Hit((facts.named("verl"), *old)) if old else None


finds("vllm-names")(_names("vllm"))
finds("sglang-names")(_names("sglang"))
finds("verl-names")(_names("transformers"))
