"""Questions to Slurm's own programs, each below a deadline: a controller that is down must hang nobody."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from verl_env.cluster.errors import ProgramMissingError, SlurmFailedError
from verl_env.machine.child import run
from verl_env.machine.process import Completed, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SECONDS = 30.0
#: States (sinfo(1), "NODE STATE CODES") in which a node takes no new job; suffixes such as ``*`` are not part of them.
_USELESS = re.compile(r"down|drain|fail|maint|reboot|unknown|future|power(ing|ed)?_down|inval|perfctrs|blocked")
_NO_REASON = {"", "none", "none (null)"}


def ask(argv: Sequence[str]) -> str:
    """The output of one program of Slurm.

    Raises:
        ProgramMissingError: it is not on PATH.
        SlurmFailedError: it fails or gives no answer.
    """
    outcome = run(argv, deadline=time.monotonic() + _SECONDS)
    if isinstance(outcome, NotFound):
        raise ProgramMissingError(argv[0])
    command = " ".join(argv[:3])
    if not isinstance(outcome, Completed):
        raise SlurmFailedError(command, f"no answer within {_SECONDS:.0f} s")
    if outcome.returncode:
        raise SlurmFailedError(command, last_line(outcome.stderr))
    return outcome.stdout.decode("utf-8", "replace")


def last_line(output: bytes) -> str:
    """The last line that says something."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def hostnames(nodelist: str) -> tuple[str, ...]:
    """The names of a list such as ``n[01-03]``, in its order.

    Raises:
        VerlEnvError: see ``ask``.
    """
    return tuple(ask(["scontrol", "show", "hostnames", nodelist]).split())


def unusable(names: Sequence[str]) -> dict[str, str]:
    """Those of the nodes that take no job now, with the reason that Slurm has.

    Raises:
        VerlEnvError: see ``ask``.
    """
    known: dict[str, str] = {}
    wanted = set(names)
    for line in ask(["sinfo", "-h", "-N", "-o", "%N|%T|%E"]).splitlines():
        name, _, rest = line.strip().partition("|")
        state, _, reason = rest.partition("|")
        if name in wanted:
            known.setdefault(name, _state(state.strip(), reason.strip()))
    return {name: known.get(name, "Slurm knows no such node") for name in names if known.get(name, "?")}


def _state(state: str, reason: str) -> str:
    """Why a node takes no job; empty for one that does."""
    silent = state.endswith("*")
    if not silent and not _USELESS.match(state.lower()):
        return ""
    told = "" if reason.lower() in _NO_REASON else f": {reason}"
    return f"Slurm has it as {state}{' (it does not respond)' if silent else ''}{told}"


def address_of(node: str) -> str:
    """The address under which Slurm itself reaches a node; its name where Slurm does not say.

    Raises:
        VerlEnvError: see ``ask``.
    """
    return _field(ask(["scontrol", "show", "node", "-o", node]), "NodeAddr") or node


def pending_reason(job: str) -> str:
    """Why a job waits, in Slurm's word (``Resources``, ``PartitionNodeLimit``, ...)."""
    try:
        state, _, reason = ask(["squeue", "-h", "-j", job, "-o", "%T|%r"]).strip().partition("|")
    except (ProgramMissingError, SlurmFailedError) as error:
        return str(error)
    return f"the job is {state or 'gone'}: {reason or 'no reason is given'}"


def nodes_of_job(job: str) -> tuple[str, ...]:
    """The nodes of a job that runs.

    Raises:
        VerlEnvError: see ``ask``.
    """
    return hostnames(ask(["squeue", "-h", "-j", job, "-o", "%N"]).strip())


def nodes_in(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The nodes of the job that this process is in; none outside of a job.

    Raises:
        VerlEnvError: see ``ask``.
    """
    nodelist = environ.get("SLURM_JOB_NODELIST") or environ.get("SLURM_NODELIST")
    return hostnames(nodelist) if nodelist and environ.get("SLURM_JOB_ID") else ()


def _field(text: str, name: str) -> str | None:
    return next((word.partition("=")[2] for word in text.split() if word.startswith(f"{name}=")), None)
