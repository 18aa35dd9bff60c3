"""Environment variables and drifts that break a pair of verl and an engine which would work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy

if TYPE_CHECKING:
    import re

    from verl_env.doctor.facts import Facts

_SHOWN = 8
_ALLOCATORS = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")
#: A sleep that frees less than this many GiB has freed nothing: the weights alone are more.
_FREED_GIB = 0.1
_OFF = frozenset({"false", "0"})


@finds("expandable-segments")
def _expandable(facts: Facts) -> Hit | None:
    """Expandable segments against vLLM's memory pool (sleep mode) and torch_memory_saver."""
    for name in _ALLOCATORS:
        value = facts.variable(name)
        setting = (value or "").partition("expandable_segments:")[2].split(",")[0].strip().lower()
        if not setting or setting in _OFF:
            continue
        evidence = (f"{name}={value}", *facts.versions("vllm", "sglang", "torch-memory-saver"))
        seen = name == "PYTORCH_CUDA_ALLOC_CONF"
        if facts.matches("vllm", "<0.19"):
            return Hit(evidence, None if seen else f"{name} turns on expandable segments unseen by vLLM's guard")
        if facts.installed("sglang") or facts.installed("vllm"):
            return Hit(evidence, severity="warning")
    return None


@reads("sleep-mode-memory")
def _sleep_log(_: Facts, match: re.Match[str]) -> Hit | None:
    """VLLM's own account of a sleep; what is still in use may be the trainer's, what was freed must be something."""
    freed = match.groupdict().get("freed")
    if freed is None:
        return Hit(())
    if float(freed) >= _FREED_GIB or float(match["left"]) < _FREED_GIB:
        return None
    return Hit((), "vLLM went to sleep and freed nothing", severity="warning")


@finds("memory-saver-preload")
def _preload(facts: Facts) -> Hit | None:
    value = facts.variable("LD_PRELOAD")
    if value is None or "memory_saver" in value or not facts.installed("sglang", "torch-memory-saver"):
        return None
    return Hit((f"LD_PRELOAD={value}", *facts.versions("sglang", "torch-memory-saver")), severity="warning")


@finds("memory-saver-missing")
def _saver(facts: Facts) -> Hit | None:
    if facts.installed("sglang", "verl") and facts.absent("torch-memory-saver") and not facts.rocm_torch:
        evidence = (*facts.versions("sglang", "verl"), "torch-memory-saver is not installed")
        return Hit(evidence, severity="warning")
    return None


@finds("lockset-drift")
def _drift(facts: Facts) -> Hit | None:
    """Packages of a lockset that were changed after it was installed; those that the user moved knowingly apart."""
    found, moved = _unasked(facts), _drifted(facts)
    shown = found or moved
    lines = tuple(f"{name} {there}, locked: {locked}" for name, there, locked in shown[:_SHOWN])
    what = "1 package differs" if len(shown) == 1 else f"{len(shown)} packages differ"
    if found:
        return Hit(lines, f"{what} from lockset {facts.lockset}")
    if moved:
        cause = "They were moved knowingly, with verl-env pip --allow-drift."
        leave = Remedy("Nothing, where it is what you want; verl-env install goes back to the lock.")
        return Hit(lines, f"{what} from lockset {facts.lockset} on purpose", cause, leave, severity="info")
    return None


def _unasked(facts: Facts) -> list[tuple[str, str, str]]:
    """What differs and was not moved knowingly (``verl-env pip --allow-drift``) to what is there now."""
    return [each for each in _drifted(facts) if not _on_purpose(facts, each[0])]


def _on_purpose(facts: Facts, name: str) -> bool:
    return name in facts.moved and facts.moved[name] == facts.packages.get(name)


@mends("lockset-drift")
def _bring_back(facts: Facts) -> Remedy:
    """The remedy that brings back what nobody moved knowingly; what somebody did stays until an installation."""
    wanted = tuple(f"{name}=={locked}" for name, _, locked in _unasked(facts))
    return remedy(facts.shell, "Bring back what the lockset names.", Fix(install=wanted))


def _drifted(facts: Facts) -> list[tuple[str, str, str]]:
    return [
        (name, facts.packages.get(name) or "is missing", locked)
        for name, locked in facts.locked.items()
        if not facts.matches(name, f"=={locked}") and (name in facts.packages or facts.packages_complete)
    ]


def relock(facts: Facts) -> Remedy:
    """The remedy that brings back every package that differs from the lockset, and no other."""
    wanted = tuple(f"{name}=={locked}" for name, _, locked in _drifted(facts))
    return remedy(facts.shell, "Bring back what the lockset names.", Fix(install=wanted))


@finds("compile-cache-stale")
def _stale_cache(facts: Facts) -> Hit | None:
    """A compile cache that is older than the vLLM that would read it."""
    place = facts.host.directories.get("vllm-cache")
    target = facts.target
    if place is None or target is None or facts.variable("VLLM_DISABLE_COMPILE_CACHE") == "1":
        return None
    cache = Path(place.path) / "torch_compile_cache"
    vllm = next((one for one in target.distributions if one.name == "vllm"), None)
    try:
        if vllm is None or cache.stat().st_mtime >= Path(vllm.path).stat().st_mtime:
            return None
    except OSError:
        return None
    return Hit((f"{cache} is older than {facts.named('vllm')}",), severity="info")
