"""verl against the engines and Megatron: names that moved, releases that do not go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.checks.dependencies import versions, window
from verl_env.doctor.model import Check, Hit, Remedy

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
        return Hit((*lines, *versions(facts, "verl", module)), severity="error" if severe else "warning", covers=rows)

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


def _name_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """A name that an engine does not have; compiled modules and circular imports are other failures."""
    name, module = match.groupdict().get("name") or "", match.groupdict().get("module") or ""
    if module.endswith(("._C", "._moe_C")) or name.startswith("__") or name in _ALWAYS_THERE or shadowed(match):
        return None
    title = f"{module or 'vllm'} has no {name}" if name else f"there is no module {module}"
    return Hit(versions(facts, "verl", "vllm", "sglang"), title, covers=(_row(name),))


def _engine_window(facts: Facts) -> Hit | None:
    asked = window(facts, "vllm")
    vllm = facts.version("vllm")
    if asked is None or vllm is None or facts.matches("vllm", asked) or facts.rocm_torch or vllm.is_devrelease:
        return None
    title = f"{facts.named('verl')} goes with vLLM {asked}, not {vllm}"
    return Hit((*versions(facts, "verl", "vllm"), f"verl's own range of vLLM: {asked}"), title)


def _lockset(facts: Facts) -> Remedy:
    verl = facts.version("verl")
    pin = f" --verl {verl.major}.{verl.minor}" if verl else ""
    return Remedy("Take an engine of the range that this verl is written for.", (f"verl-env plan --stack vllm{pin}",))


def _moe(facts: Facts) -> Hit | None:
    if facts.matches("vllm", ">=0.8.2,<=0.8.4") and facts.installed("verl"):
        return Hit(versions(facts, "vllm", "verl"), severity="info")
    return None


def _moe_log(facts: Facts, match: re.Match[str]) -> Hit:
    """The same attribute is missing where a loader of a quantization does not know a parameter."""
    trained = facts.installed("verl") or re.search(r"\bverl\b|FSDP|GRPO|RLHF|update_weights", match.string)
    return Hit(versions(facts, "vllm", "verl"), severity="error" if trained else "warning")


def _bridge(facts: Facts) -> Hit | None:
    version, core = facts.packages.get("megatron-bridge"), facts.version("megatron-core")
    wanted = _BRIDGE_PAIR.get(version or "")
    if wanted and core and core.public != wanted:
        lines = (*versions(facts, "megatron-bridge", "megatron-core"), f"megatron-bridge {version} goes with {wanted}")
        return Hit(lines, severity="warning")
    if facts.matches("verl", ">=0.9.0.dev0") and facts.installed("megatron-core") and facts.absent("megatron-bridge"):
        evidence = (*versions(facts, "verl", "megatron-core"), "megatron-bridge is not installed")
        return Hit(evidence, severity="warning")
    return None


def _bridge_log(facts: Facts, match: re.Match[str]) -> Hit:
    return Hit(versions(facts, "verl", "megatron-core"), f"{match['module']} is not installed")


def _mcore(facts: Facts) -> Hit | None:
    """Verl's patches of Megatron are gated on its releases 0.12 to 0.18."""
    if facts.matches("verl", ">=0.9") and facts.matches("megatron-core", "<0.16"):
        return Hit(versions(facts, "verl", "megatron-core"))
    if facts.matches("verl", "<0.5") and facts.matches("megatron-core", ">=0.14"):
        return Hit(versions(facts, "verl", "megatron-core"))
    return None


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


def _lora(facts: Facts) -> Hit | None:
    if facts.matches("verl", "==0.5.*") and facts.matches("vllm", ">=0.8.5"):
        return Hit(versions(facts, "verl", "vllm"), severity="info")
    return None


_CANNOT = r"cannot import name '(?P<name>\w+)' from '(?P<module>{0}[\w.]*)'"
_NO_MODULE = r"No module named '(?P<module>{0}\.[\w.]+)'"
_NO_ATTRIBUTE = r"module '(?P<module>{0}[\w.]*)' has no attribute '(?P<name>\w+)'"

CHECKS = (
    Check(
        id="vllm-names",
        theme="coupling",
        severity="error",
        title="verl imports names that this vLLM does not have",
        cause="vLLM moves its modules between releases; this verl is written for another release.",
        remedy=_lockset,
        covers=("E2", "E3", "E4"),
        sources=("verl#3638", "verl#5113", "verl#5468", "verl PR#4934"),
        find=_names("vllm"),
        log=(_CANNOT.format("vllm"), _NO_MODULE.format("vllm"), _NO_ATTRIBUTE.format("vllm")),
        from_log=_name_log,
    ),
    Check(
        id="sglang-names",
        theme="coupling",
        severity="error",
        title="verl imports names that this SGLang does not have",
        cause="SGLang moves its modules between releases; this verl is written for another release.",
        remedy=_lockset,
        covers=("E4",),
        sources=("verl#5468",),
        find=_names("sglang"),
        log=(_CANNOT.format("sglang"), _NO_MODULE.format("sglang"), _NO_ATTRIBUTE.format("sglang")),
        from_log=_name_log,
    ),
    Check(
        id="verl-names",
        theme="coupling",
        severity="error",
        title="verl imports names that this transformers does not have",
        cause="transformers removed or moved a class; this verl is written for another release.",
        remedy=Remedy("Take the transformers that this verl and its engine were released with."),
        covers=("E4",),
        sources=("verl#5007", "trl#4617"),
        find=_names("transformers"),
        log=(r"cannot import name '(?P<name>\w+)' from '(?P<module>transformers)'",),
        from_log=_name_log,
    ),
    Check(
        id="vllm-window",
        theme="coupling",
        severity="warning",
        title="vLLM is outside the range of this verl",
        cause="verl is written against internals of vLLM and supports a range of its releases.",
        remedy=_lockset,
        covers=("E1",),
        sources=("verl PR#7190", "verl#513", "verl setup.py"),
        find=_engine_window,
        explains=("vllm-names", "moe-weight-loader"),
    ),
    Check(
        id="moe-weight-loader",
        theme="coupling",
        severity="error",
        title="vLLM dropped the weight loaders of mixture-of-experts layers",
        cause="vLLM drops the attribute after the first load; verl restores it for the classes that it knows.",
        remedy=Remedy("Use vLLM 0.8.5.post1 or newer, and for newer model classes a verl with PR#5234."),
        covers=("E5",),
        sources=("EasyR1#278", "vllm#17429", "verl#540", "verl#3840", "verl PR#5234"),
        find=_moe,
        log=(r"'Parameter' object has no attribute 'weight_loader'",),
        from_log=_moe_log,
    ),
    Check(
        id="megatron-namespace",
        theme="coupling",
        severity="error",
        title="Only megatron.core is installed",
        cause=(
            "The distribution megatron-core ships megatron.core alone; this verl also imports the rest of Megatron-LM."
        ),
        remedy=Remedy(
            "Put a checkout of Megatron-LM on PYTHONPATH, or move to a newer verl.",
            ("export PYTHONPATH=/path/to/Megatron-LM:$PYTHONPATH",),
        ),
        covers=("E11",),
        sources=("verl#82", "Megatron-LM#870"),
        log=(r"No module named 'megatron\.(?:optimizer|training|legacy|model|arguments|global_vars)",),
    ),
    Check(
        id="megatron-bridge",
        theme="coupling",
        severity="error",
        title="The bridge to Megatron is missing or of another pair",
        cause="verl moved from mbridge to Megatron-Bridge with 0.9; each bridge goes with one megatron-core.",
        remedy=Remedy("Install the pair that verl's lock names, or set use_mbridge."),
        covers=("E12",),
        sources=("verl#6931", "verl PR#6951", "verl PR#6927"),
        find=_bridge,
        log=(r"No module named '(?P<module>megatron\.bridge|mbridge|modelopt)[\w.]*'",),
        from_log=_bridge_log,
    ),
    Check(
        id="megatron-core-release",
        theme="coupling",
        severity="warning",
        title="megatron-core is not of the releases that this verl patches",
        cause="verl's patches are gated on single releases of megatron-core.",
        remedy=Remedy("Take the megatron-core of verl's recipe.", ("verl-env plan --stack vllm+megatron",)),
        covers=("E13",),
        sources=("verl PR#6927", "verl PR#3534", "verl PR#5372"),
        find=_mcore,
        log=(
            r"(?:type object '?ModelType'?|ModelType) has no attribute '?encoder_and_decoder",
            r"cannot import name '\w+' from 'megatron\.core[\w.]*'",
            r"module 'megatron\.core[\w.]*' has no attribute",
        ),
    ),
    Check(
        id="install-sources-mixed",
        theme="coupling",
        severity="warning",
        title="Parts of an older install page beside a newer verl",
        cause=(
            "verl's script, its Dockerfiles and its lock state different versions; parts of two of them are mixed here."
        ),
        remedy=Remedy("Follow one source, best a lock.", ("verl-env plan --stack vllm --explain",)),
        covers=("E14",),
        sources=("verl repository, state of 2026-08-22",),
        find=_sources,
    ),
    Check(
        id="lora-wake-up",
        theme="coupling",
        severity="error",
        title="wake_up with LoRA fails in this pair",
        cause="verl 0.5 with the V1 engine of vLLM cannot wake up with LoRA adapters.",
        remedy=Remedy("Use a newer pair of verl and vLLM for LoRA."),
        covers=("E16",),
        sources=("verl#3271",),
        find=_lora,
        log=(r"wake_up(?=(?P<to>[\s\S]{0,1500}?(?:lora_manager|LoRA|lora_request)))(?P=to)[\s\S]{0,800}?Error",),
    ),
    Check(
        id="sglang-extra-unsatisfiable",
        theme="coupling",
        severity="error",
        title="verl's sglang extra cannot be resolved",
        cause="verl asks for transformers 5.5.3 or newer, and its extra for 5.3.0; only its uv lock overrides this.",
        remedy=Remedy("Install from a lock.", ("verl-env install --stack sglang",)),
        covers=("E18",),
        sources=("verl metadata of 2026-08-22",),
        log=(
            r"verl\[sglang\](?=(?P<to>[\s\S]{0,600}?transformers))(?P=to)[\s\S]{0,600}?(?:unsatisfiable|conflict|Impossible)",
            r"transformers==5\.3\.0[\s\S]{0,400}?transformers>=5\.5\.3",
        ),
    ),
)
