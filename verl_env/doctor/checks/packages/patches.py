"""The run-time patches: there, in force, and for the vLLM that is there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.environment import binding
from verl_env.environment.record import record_hash
from verl_env.reading import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.doctor.facts import Facts

RUNTIME = "verl-env-runtime"
#: What every start of an interpreter reads of it.
STARTED = ("verl_env.pth", "_verl_env_boot.py")
OURS = (*STARTED, "verl_env_runtime/")
_SHOWN = 12
SWITCH = "VERL_ENV_PATCHES"
PLUGINS = "VLLM_PLUGINS"
#: The name of the runtime's entry point in the group ``vllm.general_plugins``.
PLUGIN = "verl_env"


def _command(facts: Facts, verb: str) -> str:
    into = ["--into", str(facts.target.prefix)] if facts.target is not None else []
    return shlex.join(["verl-env", "patches", verb, *into])


@finds("patches-absent")
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


@finds("hook-damaged")
def _damaged(facts: Facts) -> Hit | None:
    """Files of the runtime, those first that every start of an interpreter reads: CPython may stumble over them."""
    if facts.target is None or not facts.installed(RUNTIME):
        return None
    rows = (entry for owned in facts.target.records if owned.distribution.name == RUNTIME for entry in owned.entries)
    wanted = {path: digest for path, digest, _ in rows if digest and path.startswith(OURS)}
    there = {name: content for name in wanted if (content := _bytes(facts.target.site / name)) is not None}
    # Without the line in verl_env.pth nothing is started: another check says so.
    bad = [name for name in wanted if name not in there and name != STARTED[0]]
    bad += [name for name, content in there.items() if record_hash(content) != wanted[name]]
    there |= {name: content for name in binding.FILES if (content := _bytes(facts.target.site / name)) is not None}
    bad += [name for name in binding.FILES if name in there and not binding.is_usable(name, there[name])]
    if not bad:
        return None
    stops = any(not _readable(there[name]) for name in bad if name.endswith(".pth"))
    evidence = [f"{facts.target.site / name} is not as it was installed" for name in bad[:_SHOWN]]
    evidence += ["it is no UTF-8: the interpreter does not start with it"] if stops else []
    return Hit(tuple(evidence), severity="error" if stops else "warning")


def _bytes(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except OSError:
        return None


def _readable(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content


@mends("patches-absent", "hook-damaged")
def _apply(facts: Facts) -> Remedy:
    commands = (_command(facts, "apply"), _command(facts, "verify"))
    fix = None if facts.target is None else Fix(runtime=True)
    return Remedy("Put the runtime back, and let it prove that it is in force.", commands, fix=fix)


@finds("patches-other-vllm")
def _other_vllm(facts: Facts) -> Hit | None:
    """Each patch is gated on the source of the vLLM that it was examined with."""
    locked = facts.locked.get("vllm")
    version = facts.version("vllm")
    if locked is None or version is None or not facts.installed(RUNTIME) or facts.matches("vllm", f"=={locked}"):
        return None
    return Hit((facts.named("vllm"), f"its lockset holds vllm {locked}"))


@mends("patches-other-vllm")
def _list(facts: Facts) -> Remedy:
    return Remedy("See what each patch decided for this vLLM, and let it prove it.", (_command(facts, "verify"),))


@finds("patches-switched-off")
def _off(facts: Facts) -> Hit | None:
    value = facts.variable(SWITCH)
    return Hit((f"{SWITCH}={value}",)) if value is not None and facts.installed("vllm", RUNTIME) else None


@finds("patches-plugin-hidden")
def _hidden(facts: Facts) -> Hit | None:
    value = facts.variable(PLUGINS)
    if value is None or not facts.installed("vllm", RUNTIME) or PLUGIN in value.split(","):
        return None
    return Hit((f"{PLUGINS}={value}",))
