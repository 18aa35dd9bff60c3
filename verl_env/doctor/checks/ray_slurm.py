"""Ray, Slurm and the limits of a node."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from collections.abc import Callable

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


def _worker_flood(facts: Facts) -> Hit | None:
    host = facts.host
    given = facts.variable("SLURM_CPUS_PER_TASK") or facts.variable("SLURM_CPUS_ON_NODE")
    usable = int(given) if given and given.isdigit() else host.cpus_usable
    if usable is None or host.cpus_online is None or not facts.variable("SLURM_JOB_ID"):
        return None
    if usable >= host.cpus_online or not facts.installed("ray"):
        return None
    return Hit((f"the job may use {usable} CPUs of {host.cpus_online}",), severity="warning")


def _socket_path(facts: Facts) -> Hit | None:
    name = "RAY_TMPDIR" if facts.variable("RAY_TMPDIR") else "TMPDIR"
    value = facts.variable(name)
    if value is None or len(value.encode().rstrip(b"/")) <= _SOCKET_BASE or not facts.installed("ray"):
        return None
    return Hit((f"{name}={value} has {len(value.encode())} bytes; Ray leaves room for {_SOCKET_BASE}",))


def _foreign_tmp(facts: Facts) -> Hit | None:
    host = facts.host
    if host.ray_dir_owner is None or host.uid is None or host.uid in {host.ray_dir_owner, 0}:
        return None
    if facts.variable("RAY_TMPDIR") or facts.variable("TMPDIR"):
        return None
    return Hit((f"Ray's directory belongs to uid {host.ray_dir_owner}, not to {host.uid}",), severity="warning")


def _threads(facts: Facts) -> Hit | None:
    limits = [("ulimit -u", facts.host.nproc), ("pids.max of the cgroup", facts.host.cgroup_pids)]
    low = [f"{name} is {value}" for name, value in limits if value is not None and 0 <= value < _THREADS]
    return Hit(tuple(low), severity="warning" if facts.installed("ray") else "info") if low else None


def _open_files(facts: Facts) -> Hit | None:
    """What Ray can have: it raises its soft limit itself, to the hard one or 65536 (``ray.init``)."""
    soft, hard = facts.host.nofile, facts.host.nofile_hard
    if soft is None or hard is None or soft < 0 or hard < 0 or max(soft, hard) >= _FILES:
        return None
    return Hit((f"ulimit -n is {soft}, and may be raised to {hard}",), severity="info")


def _ray_skew(facts: Facts) -> Hit | None:
    target, running = facts.target, (facts.host.processes or {}).get("raylet", ())
    other = [path for path in running if path and target and not path.startswith(str(target.prefix.resolve()))]
    return Hit((f"a raylet of {other[0]} is running",), severity="warning") if other else None


def _uv_run(facts: Facts) -> Hit | None:
    if "uv" not in (facts.host.parents or ()) or not facts.unset("RAY_ENABLE_UV_RUN_RUNTIME_ENV"):
        return None
    return Hit(("a parent process is uv run",), severity="info") if facts.matches("ray", ">=2.43") else None


def _proxy(facts: Facts) -> Hit | None:
    name = next((n for n in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY") if facts.variable(n)), None)
    if name is None:
        return None
    excluded = f"{facts.variable('no_proxy') or ''},{facts.variable('NO_PROXY') or ''}"
    known = facts.environment_complete or "no_proxy" in facts.environment or "NO_PROXY" in facts.environment
    if not known or "localhost" in excluded or "127.0.0.1" in excluded or "*" in excluded:
        return None
    return Hit((f"{name} is set, no_proxy has no localhost",), severity="warning")


def _offline(facts: Facts) -> Hit | None:
    if facts.variable("HF_HUB_ENABLE_HF_TRANSFER") == "1" and facts.absent("hf-transfer"):
        evidence = ("HF_HUB_ENABLE_HF_TRANSFER=1", "hf-transfer is not installed")
        return Hit(evidence, "HF_HUB_ENABLE_HF_TRANSFER is set without hf-transfer")
    if facts.host.default_route is False and facts.unset("HF_HUB_OFFLINE") and facts.unset("https_proxy"):
        return Hit(("this node has no default route", "HF_HUB_OFFLINE is not set"), severity="warning")
    return None


def _memory(facts: Facts) -> Hit | None:
    host = facts.host
    lines = []
    if host.cgroup_memory is not None and host.cgroup_memory < 16 * _GIB:
        lines.append(f"the cgroup allows {host.cgroup_memory / _GIB:.0f} GiB of memory")
    if host.memlock is not None and 0 <= host.memlock < _GIB and facts.has_nvidia_gpu:
        lines.append(f"ulimit -l is {host.memlock >> 10} KiB")
    return Hit(tuple(lines), "This process may use or lock little host memory", severity="info") if lines else None


def _uuids(facts: Facts) -> Hit | None:
    value = facts.variable("CUDA_VISIBLE_DEVICES")
    if value is None or not _DEVICE_UUID.search(value) or not facts.installed("vllm"):
        return None
    if facts.matches("vllm", _READS_UUIDS):
        return None
    known = facts.version("vllm") is not None
    return Hit((f"CUDA_VISIBLE_DEVICES={value}", facts.named("vllm")), severity="error" if known else "warning")


def _export(*lines: str) -> Callable[[Facts], Remedy]:
    return lambda _: Remedy("Set this in the job.", lines)


CHECKS = (
    Check(
        id="ray-worker-flood",
        theme="ray-slurm",
        severity="error",
        title="Ray starts a worker for every CPU of the host, not of the job",
        cause="Ray counts the CPUs of the node, while Slurm gave the job fewer; its workers time out.",
        remedy=Remedy(
            "Tell Ray how many CPUs the job has.",
            ("ray start --head --num-cpus=$SLURM_CPUS_PER_TASK", "ray_kwargs.ray_init.num_cpus=$SLURM_CPUS_PER_TASK"),
        ),
        covers=("G1",),
        sources=("verl#523", "verl PR#1009", "ray#21479", "ray#38946"),
        find=_worker_flood,
        log=(r"Unable to register worker with raylet", r"have not registered (?:to raylet )?within (?:the )?timeout"),
    ),
    Check(
        id="socket-path-too-long",
        theme="ray-slurm",
        severity="error",
        title="Ray's temporary directory has too long a path",
        cause="Ray puts sockets below TMPDIR, and the path of a socket may have 107 bytes.",
        remedy=_export("export RAY_TMPDIR=/tmp/$USER", "ray start --temp-dir=/tmp/$USER"),
        covers=("G2",),
        sources=("verl#1120", "ray#7945"),
        find=_socket_path,
        log=(r"AF_UNIX path (?:length cannot exceed|too long)", r"system_error\S*: File name too long"),
    ),
    Check(
        id="ray-tmp-foreign",
        theme="ray-slurm",
        severity="error",
        title="Ray's temporary directory belongs to another user",
        cause="On a shared node Ray's default directory is taken, or Ray attaches to another user's cluster.",
        remedy=_export("export RAY_TMPDIR=/tmp/$USER", "ray start --head --temp-dir=/tmp/$USER --port=0"),
        covers=("G3",),
        sources=("ray#4593", "ray#32776", "RLinf#463"),
        find=_foreign_tmp,
        log=(r"PermissionError: [^\n]*/tmp/ray\b", r"Permission denied: '/tmp/ray"),
    ),
    Check(
        id="too-few-threads",
        theme="ray-slurm",
        severity="error",
        title="The limit of processes and threads is low",
        cause="Ray and OpenBLAS start many threads; ulimit -u or the cgroup stops them.",
        remedy=_export("ulimit -u 16384", "export OMP_NUM_THREADS=1", "export RAY_worker_num_grpc_internal_threads=1"),
        covers=("G4",),
        sources=("verl#719", "ray#8546"),
        find=_threads,
        log=(
            r"pthread_create failed[^\n]{0,60}Resource temporarily unavailable",
            r"blas_thread_init: pthread_create",
            r"RuntimeError: can't start new thread",
            r"thread: Resource temporarily unavailable",
        ),
    ),
    Check(
        id="too-few-files",
        theme="ray-slurm",
        severity="error",
        title="The limit of open files is low",
        cause="Ray opens many sockets and files, and recommends that at least 8192 may be open.",
        remedy=_export("ulimit -n 65536"),
        covers=("G5",),
        sources=("ray PR#11515", "ray#11239", "ray#12059"),
        find=_open_files,
        log=(r"Too many open files",),
    ),
    Check(
        id="ray-version-skew",
        theme="ray-slurm",
        severity="error",
        title="The Ray cluster runs from another environment",
        cause="A head that was started from another environment has another Ray or another Python.",
        remedy=Remedy(
            "See whose it is. One of your own, for this work: stop it (ray stop ends every Ray of yours on this node) "
            "and start it from this environment. One of another job or user: leave it, and start one of your own "
            "beside it with ray.init(address='local').",
            ("ps -o user,pid,lstart,args -C raylet",),
        ),
        covers=("G6",),
        sources=("ray#50511", "ray#49912"),
        find=_ray_skew,
        log=(r"Version mismatch: The cluster was started with",),
    ),
    Check(
        id="ray-uv-run",
        theme="ray-slurm",
        severity="error",
        title="Ray rebuilds the environment of its workers through uv run",
        cause="Ray's hook for uv run rewrites the workers' environment when the driver was started by uv run.",
        remedy=_export("export RAY_ENABLE_UV_RUN_RUNTIME_ENV=0"),
        covers=("G7",),
        sources=("ray#59639", "ray PR#53060", "verl PR#2859"),
        find=_uv_run,
        log=(r"uv_runtime_env_hook", r"py_executable[^\n]{0,80}uv run[^\n]{0,200}(?:Error|failed|not)"),
    ),
    Check(
        id="proxy-for-localhost",
        theme="ray-slurm",
        severity="error",
        title="A proxy is used for this node itself",
        cause="http_proxy is set and no_proxy does not name the node: calls to local servers go to the proxy.",
        remedy=_export("export no_proxy=localhost,127.0.0.1,$(hostname -i)"),
        covers=("G9",),
        sources=("verl FAQ",),
        find=_proxy,
        log=(r"(?s)ProxyError.{0,300}(?:localhost|127\.0\.0\.1)", r"(?s)(?:localhost|127\.0\.0\.1).{0,300}ProxyError"),
    ),
    Check(
        id="offline-node",
        theme="ray-slurm",
        severity="error",
        title="A compute node without internet tries to reach a hub",
        cause="Hugging Face and Weights & Biases are asked although the node has no route, or hf_transfer is missing.",
        remedy=_export("export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 WANDB_MODE=offline"),
        covers=("G10",),
        sources=("vllm#1432", "vllm#8458", "sglang#5386", "verl PR#1098"),
        find=_offline,
        log=(
            r"[Cc]ouldn't connect to 'https://huggingface\.co'",
            r"(?s)huggingface\.co.{0,300}(?:Max retries exceeded|Network is unreachable|Name or service not known)",
            r"HF_HUB_ENABLE_HF_TRANSFER=1\) but 'hf_transfer' package is not available",
        ),
    ),
    Check(
        id="out-of-host-memory",
        theme="ray-slurm",
        severity="error",
        title="The job ran out of host memory, or may lock too little",
        cause="Slurm's --mem limits the cgroup; pinned memory needs memlock.",
        remedy=Remedy("Ask for more memory; have memlock unlimited in job steps.", ("#SBATCH --mem=0",)),
        covers=("G13", "K7"),
        sources=("verl#1036",),
        find=_memory,
        log=(
            r"[Dd]etected \d+ oom[-_]kill event",
            r"oom-kill:constraint",
            r"Task was killed due to the node running low on memory",
            r"(?:cudaHostAlloc|cudaHostRegister|pin_memory)[^\n]{0,120}(?:failed|error|invalid)",
        ),
    ),
    Check(
        id="visible-devices-uuid",
        theme="ray-slurm",
        severity="error",
        title="CUDA_VISIBLE_DEVICES holds UUIDs, which this vLLM cannot read",
        cause="Slurm and MIG export UUIDs; vLLM before mid 2026 reads integers.",
        remedy=Remedy(
            "Translate them to indices.",
            ("export CUDA_VISIBLE_DEVICES=$(nvidia-smi --query-gpu=index --format=csv,noheader | paste -sd,)",),
        ),
        covers=("G14",),
        sources=("vllm#41848", "vllm#7211", "vllm PR#46132"),
        find=_uuids,
        log=(r"invalid literal for int\(\) with base 10: '(?:GPU|MIG)-",),
        explains=("model-inspection-failed",),
    ),
)
