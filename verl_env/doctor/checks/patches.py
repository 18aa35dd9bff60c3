"""The run-time patches: there, in force, and for the vLLM that is there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

RUNTIME = "verl-env-runtime"
SWITCH = "VERL_ENV_PATCHES"
PLUGINS = "VLLM_PLUGINS"
#: The name of the runtime's entry point in the group ``vllm.general_plugins``.
PLUGIN = "verl_env"


def _command(facts: Facts, verb: str) -> str:
    into = ["--into", str(facts.target.prefix)] if facts.target is not None else []
    return shlex.join(["verl-env", "patches", verb, *into])


def _absent(facts: Facts) -> Hit | None:
    """An environment of a lockset with vLLM and without the runtime, or without the line that starts it."""
    if facts.lockset is None or not facts.installed("vllm"):
        return None
    evidence = f"the environment was made from {facts.lockset}"
    if facts.absent(RUNTIME):
        return Hit((evidence, facts.named("vllm"), f"{RUNTIME} is not installed"))
    if facts.target is None or not facts.installed(RUNTIME):
        return None
    carriers = [facts.target.site / name for name in ("verl_env.pth", "sitecustomize.py")]
    if any(carrier.is_file() for carrier in carriers):
        return None
    return Hit((evidence, facts.named(RUNTIME), f"{carriers[0]} is missing"))


def _apply(facts: Facts) -> Remedy:
    commands = (_command(facts, "apply"), _command(facts, "verify"))
    return Remedy("Put the runtime back, and let it prove that it is in force.", commands)


def _other_vllm(facts: Facts) -> Hit | None:
    """Each patch is gated on the source of the vLLM that it was examined with."""
    locked = facts.locked.get("vllm")
    version = facts.version("vllm")
    if locked is None or version is None or not facts.installed(RUNTIME) or facts.matches("vllm", f"=={locked}"):
        return None
    return Hit((facts.named("vllm"), f"its lockset holds vllm {locked}"))


def _list(facts: Facts) -> Remedy:
    return Remedy("See what each patch decided for this vLLM, and let it prove it.", (_command(facts, "verify"),))


def _off(facts: Facts) -> Hit | None:
    value = facts.variable(SWITCH)
    return Hit((f"{SWITCH}={value}",)) if value is not None and facts.installed("vllm", RUNTIME) else None


def _hidden(facts: Facts) -> Hit | None:
    value = facts.variable(PLUGINS)
    if value is None or not facts.installed("vllm", RUNTIME) or PLUGIN in value.split(","):
        return None
    return Hit((f"{PLUGINS}={value}",))


CHECKS = (
    Check(
        id="patches-absent",
        theme="other",
        severity="warning",
        title="The run-time patches of vLLM are not there",
        cause="The runtime was uninstalled, or the line in site-packages that starts it is gone; vLLM runs unmended.",
        remedy=_apply,
        covers=(),
        sources=("verl-env: docs/architecture.md",),
        find=_absent,
    ),
    Check(
        id="patches-other-vllm",
        theme="other",
        severity="warning",
        title="vLLM is not the one that the environment was made with",
        cause="A patch acts only where it knows the source that it mends; on another it may decline.",
        remedy=_list,
        covers=(),
        sources=("verl-env: docs/architecture.md",),
        find=_other_vllm,
    ),
    Check(
        id="patches-switched-off",
        theme="other",
        severity="info",
        title="A variable switches run-time patches off",
        cause="VERL_ENV_PATCHES=off, or a list of ids, keeps patches from acting.",
        remedy=Remedy("Unset it where they are wanted.", (f"unset {SWITCH}",)),
        covers=(),
        sources=("verl-env: docs/architecture.md",),
        find=_off,
    ),
    Check(
        id="patches-plugin-hidden",
        theme="other",
        severity="info",
        title="VLLM_PLUGINS leaves out the run-time patches",
        cause="vLLM runs only the plugins that it names. The start-up hook acts all the same, where it is in force.",
        remedy=Remedy("Add verl_env to it.", (f"export {PLUGINS}=${PLUGINS},{PLUGIN}",)),
        covers=(),
        sources=("vllm documentation",),
        find=_hidden,
    ),
)
