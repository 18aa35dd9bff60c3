"""Directories that tools write to: executable, on which file system, with how much room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds
from verl_env.doctor.model import Hit

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_COMPILED = ("tmp", "triton-cache", "inductor-cache", "extensions-cache", "flashinfer-cache")
_CACHES = ("triton-cache", "inductor-cache", "flashinfer-cache", "vllm-cache")
_GIB = 1 << 30
_SHM = "/dev/shm"  # noqa: S108  the place itself is meant


@finds("noexec-cache")
def _noexec(facts: Facts) -> Hit | None:
    found = [(role, place) for role in _COMPILED if (place := facts.host.directories.get(role)) and place.noexec]
    if not found:
        return None
    lines = [f"{place.path} ({role}) is mounted noexec ({place.file_system})" for role, place in found]
    severe = any(role != "tmp" for role, _ in found)
    return Hit(tuple(lines), severity="error" if severe else "warning")


@finds("network-caches")
def _shared_caches(facts: Facts) -> Hit | None:
    nodes = facts.variable("SLURM_JOB_NUM_NODES") or facts.variable("SLURM_NNODES") or "1"
    if not nodes.isdigit() or int(nodes) < 2:  # noqa: PLR2004  one node has no one to race with
        return None
    found = [place for role in _CACHES if (place := facts.host.directories.get(role)) and place.network]
    lines = [f"{place.path} is on {place.file_system}" for place in found]
    return Hit((*lines, f"the job has {nodes} nodes"), severity="warning") if lines else None


@finds("no-space")
def _full(facts: Facts) -> Hit | None:
    found = [(role, place) for role, place in facts.host.directories.items() if place.free_bytes < _GIB]
    lines = {f"{place.path}: {place.free_bytes / _GIB:.1f} GiB free": None for _, place in found}
    return Hit(tuple(lines), severity="warning") if lines else None


@finds("uv-cache-elsewhere")
def _uv_link(facts: Facts) -> Hit | None:
    cache, target = facts.host.directories.get("uv-cache"), facts.target
    if cache is None or target is None or facts.variable("UV_LINK_MODE") or facts.shell.installer != "uv":
        return None
    if not cache.exists or cache.device == target.prefix.stat().st_dev:
        return None
    return Hit((f"{cache.path} and {target.prefix} are on different file systems",), severity="info")


@finds("shared-memory-small")
def _shm(facts: Facts) -> Hit | None:
    size = facts.host.shm_bytes
    if size is None or size >= _GIB:
        return None
    return Hit((f"{_SHM} has {size >> 20} MiB",), severity="warning")
