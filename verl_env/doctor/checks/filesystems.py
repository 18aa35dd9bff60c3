"""Directories that tools write to: executable, on which file system, with how much room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_COMPILED = ("tmp", "triton-cache", "inductor-cache", "extensions-cache", "flashinfer-cache")
_CACHES = ("triton-cache", "inductor-cache", "flashinfer-cache", "vllm-cache")
_GIB = 1 << 30
_SHM = "/dev/shm"  # noqa: S108  the place itself is meant
_NODE_LOCAL = (
    "export TRITON_CACHE_DIR=/tmp/$USER/triton",
    "export TORCHINDUCTOR_CACHE_DIR=/tmp/$USER/inductor",
    "export FLASHINFER_WORKSPACE_BASE=/tmp/$USER/flashinfer",
    "export VLLM_CACHE_ROOT=/tmp/$USER/vllm",
)


def _noexec(facts: Facts) -> Hit | None:
    found = [(role, place) for role in _COMPILED if (place := facts.host.directories.get(role)) and place.noexec]
    if not found:
        return None
    lines = [f"{place.path} ({role}) is mounted noexec ({place.file_system})" for role, place in found]
    severe = any(role != "tmp" for role, _ in found)
    return Hit(tuple(lines), severity="error" if severe else "warning")


def _shared_caches(facts: Facts) -> Hit | None:
    nodes = facts.variable("SLURM_JOB_NUM_NODES") or facts.variable("SLURM_NNODES") or "1"
    if not nodes.isdigit() or int(nodes) < 2:  # noqa: PLR2004  one node has no one to race with
        return None
    found = [place for role in _CACHES if (place := facts.host.directories.get(role)) and place.network]
    lines = [f"{place.path} is on {place.file_system}" for place in found]
    return Hit((*lines, f"the job has {nodes} nodes"), severity="warning") if lines else None


def _full(facts: Facts) -> Hit | None:
    found = [(role, place) for role, place in facts.host.directories.items() if place.free_bytes < _GIB]
    lines = {f"{place.path}: {place.free_bytes / _GIB:.1f} GiB free": None for _, place in found}
    return Hit(tuple(lines), severity="warning") if lines else None


def _uv_link(facts: Facts) -> Hit | None:
    cache, target = facts.host.directories.get("uv-cache"), facts.target
    if cache is None or target is None or facts.variable("UV_LINK_MODE") or facts.shell.installer != "uv":
        return None
    if not cache.exists or cache.device == target.prefix.stat().st_dev:
        return None
    return Hit((f"{cache.path} and {target.prefix} are on different file systems",), severity="info")


def _shm(facts: Facts) -> Hit | None:
    size = facts.host.shm_bytes
    if size is None or size >= _GIB:
        return None
    return Hit((f"{_SHM} has {size >> 20} MiB",), severity="warning")


CHECKS = (
    Check(
        id="noexec-cache",
        theme="filesystems",
        severity="error",
        title="Compiled code cannot be loaded from a noexec mount",
        cause="triton, inductor and extensions load what they compiled from directories that forbid execution.",
        remedy=Remedy("Use directories where execution is allowed, best on the node.", ("export TMPDIR=/var/tmp",)),
        covers=("F8",),
        sources=("pytorch#91005", "pytorch#123054", "pytorch PR#184362"),
        find=_noexec,
        log=(r"failed to map segment from shared object",),
    ),
    Check(
        id="network-caches",
        theme="filesystems",
        severity="error",
        title="Compile caches are shared between nodes",
        cause="Many ranks write the same cache on a network file system and remove each other's files.",
        remedy=Remedy("Put the caches on the node.", _NODE_LOCAL),
        covers=("F9",),
        sources=("pytorch#173679", "sglang#464"),
        find=_shared_caches,
        log=(
            r"Stale file handle",
            r"Device or resource busy: '[^'\n]*\.nfs",
            r"FileNotFoundError: (?=(?P<to>[^\n]{0,400}?(?:triton|inductor)))(?P=to)[^\n]{0,400}?(?:cache|tmp\.pid)",
        ),
    ),
    Check(
        id="no-space",
        theme="filesystems",
        severity="error",
        title="A directory is full or over its quota",
        cause="Caches of pip, uv, Hugging Face and vLLM lie in a small home; builds need room in TMPDIR.",
        remedy=Remedy(
            "Move the caches to a large file system.",
            ("export UV_CACHE_DIR=$SCRATCH/uv PIP_CACHE_DIR=$SCRATCH/pip HF_HOME=$SCRATCH/hf TMPDIR=$SCRATCH/tmp",),
        ),
        covers=("F10",),
        sources=("rllm#17", "vllm#7025", "pip#12868"),
        find=_full,
        log=(r"Disk quota exceeded", r"\[Errno 122\]", r"No space left on device"),
    ),
    Check(
        id="uv-cache-elsewhere",
        theme="filesystems",
        severity="info",
        title="uv's cache and the environment are on different file systems",
        cause="Hard links do not cross file systems: every file is copied.",
        remedy=Remedy("Put both on one file system, or say that copies are meant.", ("export UV_LINK_MODE=copy",)),
        covers=("F11",),
        sources=("uv documentation",),
        find=_uv_link,
        log=(r"Failed to hardlink files; falling back to full copy",),
    ),
    Check(
        id="shared-memory-small",
        theme="filesystems",
        severity="error",
        title="The shared memory of the node is too small",
        cause="NCCL, Ray and data loaders exchange data there; containers default to 64 MiB.",
        remedy=Remedy("Ask the site, or start the container with a larger one.", ("df -h /dev/shm",)),
        covers=("G12",),
        sources=("verl documentation (--shm-size)",),
        find=_shm,
        log=(
            r"Bus error",
            r"(?:Ran out of memory in|using /tmp instead of) /dev/shm",
            r"workers? (?:is|are) out of shared memory",
            r"(?:Error while creating|unable to (?:open|write|mmap))[^\n]{0,80}shared memory segment /dev/shm",
        ),
    ),
)
