"""Environment variables and drifts that break a pair of verl and an engine which would work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.checks.dependencies import versions
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Check, Fix, Hit, Remedy

if TYPE_CHECKING:
    import re

    from verl_env.doctor.facts import Facts

_SHOWN = 8
_ALLOCATORS = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")
#: A sleep that frees less than this many GiB has freed nothing: the weights alone are more.
_FREED_GIB = 0.1
_OFF = frozenset({"false", "0"})


def _xformers_backend(facts: Facts) -> Hit | None:
    value = facts.variable("VLLM_ATTENTION_BACKEND")
    if value is None or value.upper() != "XFORMERS" or not facts.matches("vllm", ">=0.8"):
        return None
    return Hit((f"VLLM_ATTENTION_BACKEND={value}", facts.named("vllm")))


def _use_v1(facts: Facts) -> Hit | None:
    value = facts.variable("VLLM_USE_V1")
    if value is None or not facts.matches("vllm", ">=0.11"):
        return None
    return Hit((f"VLLM_USE_V1={value}", facts.named("vllm")), severity="warning" if value == "0" else "info")


def _expandable(facts: Facts) -> Hit | None:
    """Expandable segments against vLLM's memory pool (sleep mode) and torch_memory_saver."""
    for name in _ALLOCATORS:
        value = facts.variable(name)
        setting = (value or "").partition("expandable_segments:")[2].split(",")[0].strip().lower()
        if not setting or setting in _OFF:
            continue
        evidence = (f"{name}={value}", *versions(facts, "vllm", "sglang", "torch-memory-saver"))
        seen = name == "PYTORCH_CUDA_ALLOC_CONF"
        if facts.matches("vllm", "<0.19"):
            return Hit(evidence, None if seen else f"{name} turns on expandable segments unseen by vLLM's guard")
        if facts.installed("sglang") or facts.installed("vllm"):
            return Hit(evidence, severity="warning")
    return None


def _sleep_log(_: Facts, match: re.Match[str]) -> Hit | None:
    """VLLM's own account of a sleep; what is still in use may be the trainer's, what was freed must be something."""
    freed = match.groupdict().get("freed")
    if freed is None:
        return Hit(())
    if float(freed) >= _FREED_GIB or float(match["left"]) < _FREED_GIB:
        return None
    return Hit((), "vLLM went to sleep and freed nothing", severity="warning")


def _preload(facts: Facts) -> Hit | None:
    value = facts.variable("LD_PRELOAD")
    if value is None or "memory_saver" in value or not facts.installed("sglang", "torch-memory-saver"):
        return None
    return Hit((f"LD_PRELOAD={value}", *versions(facts, "sglang", "torch-memory-saver")), severity="warning")


def _saver(facts: Facts) -> Hit | None:
    if facts.installed("sglang", "verl") and facts.absent("torch-memory-saver") and not facts.rocm_torch:
        evidence = (*versions(facts, "sglang", "verl"), "torch-memory-saver is not installed")
        return Hit(evidence, severity="warning")
    return None


def _add_saver(facts: Facts) -> Remedy:
    return remedy(facts.shell, "Install torch-memory-saver.", Fix(install=("torch-memory-saver",)))


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


CHECKS = (
    Check(
        id="attention-backend-xformers",
        theme="coupling",
        severity="warning",
        title="VLLM_ATTENTION_BACKEND=XFORMERS is left over",
        cause="Old examples of verl exported it; the V1 engine of vLLM 0.8 and later does not support it.",
        remedy=Remedy("Unset it.", ("unset VLLM_ATTENTION_BACKEND",)),
        covers=("E6",),
        sources=("verl#940", "verl#678", "verl PR#113"),
        find=_xformers_backend,
        log=(r"(?:Unsupported|Invalid|not support\w*)[^\n]{0,80}attention backend[^\n]{0,40}XFORMERS",),
    ),
    Check(
        id="vllm-use-v1",
        theme="coupling",
        severity="warning",
        title="VLLM_USE_V1 is set for a vLLM that has only one engine",
        cause="vLLM 0.11 removed the old engine; the variable is refused or ignored.",
        remedy=Remedy("Unset it.", ("unset VLLM_USE_V1",)),
        covers=("E7",),
        sources=("verl PR#3687",),
        find=_use_v1,
        log=(r"VLLM_USE_V1=0[^\n]{0,80}(?:not supported|removed|invalid|no longer)",),
    ),
    Check(
        id="expandable-segments",
        theme="coupling",
        severity="error",
        title="Expandable segments are not compatible with the engine's memory pool",
        cause="Sleep mode uses a memory pool of its own, which torch refuses or leaks with expandable segments.",
        remedy=Remedy(
            "Unset it; verl switches it itself where it helps.",
            ("unset PYTORCH_CUDA_ALLOC_CONF PYTORCH_ALLOC_CONF",),
        ),
        covers=("E8",),
        sources=("vllm PR#40812", "vllm#57982", "pytorch#147851", "verl#1545"),
        find=_expandable,
        log=(r"Expandable segments are not compatible with memory pool",),
        explains=("sleep-mode-memory",),
    ),
    Check(
        id="sleep-mode-memory",
        theme="coupling",
        severity="error",
        title="vLLM finds no memory when it wakes up",
        cause=(
            "What vLLM gave back when it went to sleep is taken by the trainer, or was never given back; its allocator "
            "then fails in cuMemCreate."
        ),
        remedy=Remedy(
            "Give the engine a smaller share, and empty the trainer's cache before the wake-up.",
            ("actor_rollout_ref.rollout.gpu_memory_utilization=0.45",),
        ),
        covers=("K8",),
        sources=("verl#302", "verl#1545", "vllm PR#12981"),
        log=(
            r"(?i)CUDA error: (?:out of memory|invalid argument) at \S*cumem_allocator\.cpp",
            r"Sleep mode freed (?P<freed>-?[\d.]+) GiB memory, (?P<left>[\d.]+) GiB memory is still in use",
        ),
        from_log=_sleep_log,
    ),
    Check(
        id="memory-saver-preload",
        theme="coupling",
        severity="error",
        title="LD_PRELOAD keeps torch_memory_saver from working",
        cause="Its hook must be the only entry of LD_PRELOAD; sites set others (darshan, xalt, tcmalloc).",
        remedy=Remedy("Clear it for the job.", ("unset LD_PRELOAD",)),
        covers=("E9",),
        sources=("torch_memory_saver#33", "torch_memory_saver PR#64", "slime PR#1937"),
        find=_preload,
        log=(r"TorchMemorySaver observes invalid LD_PRELOAD",),
    ),
    Check(
        id="memory-saver-missing",
        theme="coupling",
        severity="error",
        title="torch-memory-saver is not installed",
        cause="SGLang releases memory between phases with it; older releases do not install it.",
        remedy=_add_saver,
        covers=("E10",),
        sources=("sglang#4985", "sglang PR#6247", "verl PR#756"),
        find=_saver,
        log=(r"torch[-_]memory[-_]saver is not installed", r"No module named '?torch_memory_saver"),
    ),
    Check(
        id="lockset-drift",
        theme="coupling",
        severity="warning",
        title="Packages differ from the lockset",
        cause="A later install resolved dependencies inside a curated environment and changed pins.",
        remedy=_bring_back,
        covers=("E15",),
        sources=("verl#2205",),
        find=_drift,
        explains=("requirements-unmet",),
    ),
    Check(
        id="compile-cache-stale",
        theme="coupling",
        severity="info",
        title="The compile cache is older than vLLM",
        cause="The cache of torch.compile is keyed loosely and may be read by a newer vLLM.",
        remedy=Remedy(
            "Delete it, or switch it off as verl does.",
            ('rm -r "${VLLM_CACHE_ROOT:-$HOME/.cache/vllm}/torch_compile_cache"',),
        ),
        covers=("E17",),
        sources=("verl constants_ppo.py", "vllm#31199"),
        find=_stale_cache,
    ),
)
