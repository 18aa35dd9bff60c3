"""What Slurm has allocated to this process on this node (sbatch(1) and srun(1), "output environment variables")."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: What counts first inside a step that srun started, and in the job script itself. A step inherits the variables of
#: its job, so that only there the CPUs of one task are the share of this process.
_STEP = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
_JOB = ("SLURM_CPUS_ON_NODE", "SLURM_CPUS_PER_TASK")


def slurm_cpus(environ: Mapping[str, str]) -> tuple[int, str] | None:
    """The allocated CPUs and the variable that says so; None outside a job.

    A bound only: sites that confine jobs show it in the affinity too, others nowhere else.
    """
    if not _in_job(environ):
        return None
    for name in _STEP if environ.get("SLURM_STEP_ID") else _JOB:
        if number := _number(environ.get(name)):
            return number, name
    return None


def slurm_memory(environ: Mapping[str, str]) -> tuple[int, str] | None:
    """The allocated memory in bytes and the variables that say so; None outside a job or without a limit.

    Slurm counts in units of 1024 * 1024 bytes, and writes 0 for "all of the node".
    """
    if not _in_job(environ):
        return None
    if megabytes := _number(environ.get("SLURM_MEM_PER_NODE")):
        return megabytes << 20, "SLURM_MEM_PER_NODE"
    per_cpu, cpus = _number(environ.get("SLURM_MEM_PER_CPU")), _number(environ.get("SLURM_CPUS_ON_NODE"))
    if per_cpu and cpus:
        return per_cpu * cpus << 20, "SLURM_MEM_PER_CPU * SLURM_CPUS_ON_NODE"
    return None


def _in_job(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("SLURM_JOB_ID") or environ.get("SLURM_JOBID"))


def _number(text: str | None) -> int | None:
    """A decimal number of a sane length, or None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None  # noqa: PLR2004
