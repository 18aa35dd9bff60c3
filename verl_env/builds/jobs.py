"""How many compilers run side by side: what CPUs, memory and the user allow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.machine.system.cgroup import memory_limit, parse_mountinfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.components.model import Recipe
    from verl_env.machine.roots import Roots

#: Memory of one compiler job where nobody has measured it: a C++ file with torch's headers peaks at 1.5 to 2 GB, an
#: nvcc job with CUTLASS at several; 4 GiB keep a small host from swapping.
UNMEASURED_JOB = 4 << 30
#: The variable by which a user limits the jobs, as torch's extension builder reads it.
VARIABLE = "MAX_JOBS"

_AVAILABLE = re.compile(r"^MemAvailable:\s+(\d{1,15}) kB$", re.MULTILINE)
_INACTIVE = re.compile(r"^(?:total_)?inactive_file (\d{1,19})$", re.MULTILINE)
_USAGE = {"memory.max": "memory.current", "memory.limit_in_bytes": "memory.usage_in_bytes"}


def available_memory(roots: Roots) -> int | None:
    """Memory in bytes that may be taken now: the least of the host's and of what the control group has left.

    Pages of files that nobody uses (``inactive_file``) count as free, as the kernel takes them back first. None where
    neither says anything.
    """
    match = _AVAILABLE.search(roots.read("/proc/meminfo") or "")
    found = [int(match[1]) << 10] if match else []
    limit = memory_limit(roots, parse_mountinfo(roots.read("/proc/self/mountinfo") or ""))
    if limit is not None:
        found.append(max(0, limit.value - _used(roots, limit.source)))
    return min(found, default=None)


def job_count(recipe: Recipe, *, cpus: int, memory: int | None, environ: Mapping[str, str], targets: int) -> int:
    """The number of compiler jobs, at least one.

    Args:
        recipe: What one job takes.
        cpus: CPUs that this process may use.
        memory: Memory in bytes that it may take, None where that is not known.
        environ: ``MAX_JOBS`` of the user counts where it is lower; ``NVCC_THREADS`` multiplies the memory of a job.
        targets: How many GPU targets a job compiles; more threads than these bring nothing.
    """
    allowed = [cpus]
    if memory is not None:
        allowed.append(memory // job_memory(recipe, environ, targets))
    if asked := _number(environ.get(VARIABLE)):
        allowed.append(asked)
    return max(1, min(allowed))


def job_memory(recipe: Recipe, environ: Mapping[str, str], targets: int) -> int:
    """Memory in bytes of one compiler job; nvcc's threads compile one target each."""
    threads = nvcc_threads(recipe, environ) or 1
    return (recipe.job_bytes or UNMEASURED_JOB) * max(1, min(threads, targets))


def nvcc_threads(recipe: Recipe, environ: Mapping[str, str]) -> int | None:
    """The threads of each nvcc: the user's word, else the recipe's; None where neither says any."""
    return _number(environ.get("NVCC_THREADS")) or _number(recipe.env.get("NVCC_THREADS"))


def _used(roots: Roots, limit_file: str) -> int:
    directory, _, name = limit_file.rpartition("/")
    used = _number(roots.read(f"{directory}/{_USAGE[name]}")) or 0
    inactive = _INACTIVE.search(roots.read(f"{directory}/memory.stat") or "")
    return max(0, used - (int(inactive[1]) if inactive else 0))


def _number(text: str | None) -> int | None:
    """A positive decimal number, or None."""
    text = (text or "").strip()
    return int(text) or None if text.isascii() and text.isdigit() else None
