"""Ray, Slurm and the limits of a node."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds
from verl_env.doctor.model import Hit

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

#: A socket's path may have 107 bytes; Ray appends 68 below TMPDIR (``ray/session_.../sockets/plasma_store``).
_SOCKET_BASE = 107 - 68
_THREADS = 16384
#: Open files: below 4096 Ray warns and recommends this many (ray PR#11515).
_FILES = 8192
_GIB = 1 << 30
_DEVICE_UUID = re.compile(r"\b(?:GPU|MIG)-[0-9a-fA-F]")
#: vLLM reads UUIDs from PR#45026 on (2026-06).
_READS_UUIDS = ">=0.23"


@finds("ray-worker-flood")
def _worker_flood(facts: Facts) -> Hit | None:
    host = facts.host
    given = facts.variable("SLURM_CPUS_PER_TASK") or facts.variable("SLURM_CPUS_ON_NODE")
    usable = int(given) if given and given.isdigit() else host.cpus_usable
    if usable is None or host.cpus_online is None or not facts.variable("SLURM_JOB_ID"):
        return None
    if usable >= host.cpus_online or not facts.installed("ray"):
        return None
    return Hit((f"the job may use {usable} CPUs of {host.cpus_online}",), severity="warning")


@finds("socket-path-too-long")
def _socket_path(facts: Facts) -> Hit | None:
    name = "RAY_TMPDIR" if facts.variable("RAY_TMPDIR") else "TMPDIR"
    value = facts.variable(name)
    if value is None or len(value.encode().rstrip(b"/")) <= _SOCKET_BASE or not facts.installed("ray"):
        return None
    return Hit((f"{name}={value} has {len(value.encode())} bytes; Ray leaves room for {_SOCKET_BASE}",))


@finds("ray-tmp-foreign")
def _foreign_tmp(facts: Facts) -> Hit | None:
    host = facts.host
    if host.ray_dir_owner is None or host.uid is None or host.uid in {host.ray_dir_owner, 0}:
        return None
    if facts.variable("RAY_TMPDIR") or facts.variable("TMPDIR"):
        return None
    return Hit((f"Ray's directory belongs to uid {host.ray_dir_owner}, not to {host.uid}",), severity="warning")


@finds("too-few-threads")
def _threads(facts: Facts) -> Hit | None:
    limits = [("ulimit -u", facts.host.nproc), ("pids.max of the cgroup", facts.host.cgroup_pids)]
    low = [f"{name} is {value}" for name, value in limits if value is not None and 0 <= value < _THREADS]
    return Hit(tuple(low), severity="warning" if facts.installed("ray") else "info") if low else None


@finds("too-few-files")
def _open_files(facts: Facts) -> Hit | None:
    """What Ray can have: it raises its soft limit itself, to the hard one or 65536 (``ray.init``)."""
    soft, hard = facts.host.nofile, facts.host.nofile_hard
    if soft is None or hard is None or soft < 0 or hard < 0 or max(soft, hard) >= _FILES:
        return None
    return Hit((f"ulimit -n is {soft}, and may be raised to {hard}",), severity="info")


@finds("ray-version-skew")
def _ray_skew(facts: Facts) -> Hit | None:
    target, running = facts.target, (facts.host.processes or {}).get("raylet", ())
    other = [path for path in running if path and target and not path.startswith(str(target.prefix.resolve()))]
    return Hit((f"a raylet of {other[0]} is running",), severity="warning") if other else None


@finds("ray-uv-run")
def _uv_run(facts: Facts) -> Hit | None:
    if "uv" not in (facts.host.parents or ()) or not facts.unset("RAY_ENABLE_UV_RUN_RUNTIME_ENV"):
        return None
    return Hit(("a parent process is uv run",), severity="info") if facts.matches("ray", ">=2.43") else None


@finds("proxy-for-localhost")
def _proxy(facts: Facts) -> Hit | None:
    name = next((n for n in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY") if facts.variable(n)), None)
    if name is None:
        return None
    excluded = f"{facts.variable('no_proxy') or ''},{facts.variable('NO_PROXY') or ''}"
    known = facts.environment_complete or "no_proxy" in facts.environment or "NO_PROXY" in facts.environment
    if not known or "localhost" in excluded or "127.0.0.1" in excluded or "*" in excluded:
        return None
    return Hit((f"{name} is set, no_proxy has no localhost",), severity="warning")


@finds("offline-node")
def _offline(facts: Facts) -> Hit | None:
    if facts.variable("HF_HUB_ENABLE_HF_TRANSFER") == "1" and facts.absent("hf-transfer"):
        evidence = ("HF_HUB_ENABLE_HF_TRANSFER=1", "hf-transfer is not installed")
        return Hit(evidence, "HF_HUB_ENABLE_HF_TRANSFER is set without hf-transfer")
    if facts.host.default_route is False and facts.unset("HF_HUB_OFFLINE") and facts.unset("https_proxy"):
        return Hit(("this node has no default route", "HF_HUB_OFFLINE is not set"), severity="warning")
    return None


@finds("out-of-host-memory")
def _memory(facts: Facts) -> Hit | None:
    host = facts.host
    lines = []
    if host.cgroup_memory is not None and host.cgroup_memory < 16 * _GIB:
        lines.append(f"the cgroup allows {host.cgroup_memory / _GIB:.0f} GiB of memory")
    if host.memlock is not None and 0 <= host.memlock < _GIB and facts.has_nvidia_gpu:
        lines.append(f"ulimit -l is {host.memlock >> 10} KiB")
    return Hit(tuple(lines), "This process may use or lock little host memory", severity="info") if lines else None


@finds("visible-devices-uuid")
def _uuids(facts: Facts) -> Hit | None:
    value = facts.variable("CUDA_VISIBLE_DEVICES")
    if value is None or not _DEVICE_UUID.search(value) or not facts.installed("vllm"):
        return None
    if facts.matches("vllm", _READS_UUIDS):
        return None
    known = facts.version("vllm") is not None
    return Hit((f"CUDA_VISIBLE_DEVICES={value}", facts.named("vllm")), severity="error" if known else "warning")
