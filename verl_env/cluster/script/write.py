"""A job script, put together from its parts."""

from __future__ import annotations

import re
import shlex
from importlib import resources
from typing import TYPE_CHECKING

from verl_env import __version__
from verl_env.cluster.script.schedulers import scheduler
from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.cluster.script.schedulers import Scheduler

_MARK = re.compile(r"@([A-Z]+)@")
_TITLES = {"ray": "Ray on {nodes}, and one command on it", "torchrun": "One command on {nodes}, started by torchrun"}


@record
class ScriptJob:
    """What a script is for.

    ``kind`` is ``ray`` or ``torchrun``; numbers are those of one node, except for ``nodes``. ``options`` maps names of
    the table (``time``, ``partition``, ``account``, ``name``) to values; ``directives`` are added as they are.
    ``variables`` are those of the lockset, ``program`` is verl-env for the check before, None for no check.
    """

    kind: str
    nodes: int
    gpus: int
    command: tuple[str, ...]
    environment: Path
    scheduler: str = "slurm"
    cpus: int | None = None
    options: Mapping[str, str] = NOTHING
    directives: tuple[str, ...] = ()
    variables: Mapping[str, str] = NOTHING
    interface: str = ""
    program: str | None = None
    interactive: bool = False


def write(job: ScriptJob, *, file: str = "job.sh") -> str:
    """The text of the script of a job; ``file`` is what it will be called."""
    row = scheduler(job.scheduler)
    parts = ["head", *(["preflight"] if job.program and job.scheduler == "slurm" else []), job.kind]
    texts = "".join(_part(name) for name in parts)
    values = _values(job, row, file)
    filled = _MARK.sub(lambda found: values[found[1]], texts)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<![ \t])[ \t]+\n", "\n", filled))


def _values(job: ScriptJob, row: Scheduler, file: str) -> dict[str, str]:
    nodes = "one node" if job.nodes == 1 else f"{job.nodes} nodes"
    return {
        "DIRECTIVES": "\n".join(f"{row.directive} {option}" for option in _options(job, row)),
        "TITLE": _TITLES[job.kind].format(nodes=nodes),
        "VERSION": __version__,
        "SUBMIT": row.submit.format(file=file),
        "UNTESTED": "" if row.tested else f"# UNTESTED on {job.scheduler}: that part is from its manual.",
        "ENVIRONMENT": shlex.quote(str(job.environment)),
        "GPUS": row.gpus.format(job.gpus),
        "CPUS": row.cpus,
        "INTERFACE": shlex.quote(job.interface) if job.interface else "",
        "COMMAND": shlex.join(job.command),
        "VARIABLES": "".join(_variable(name, value) for name, value in sorted(job.variables.items())),
        "JOB": row.job,
        "NODES": row.nodes,
        "EACH": row.each,
        "STEP": row.step,
        "NODE": row.node,
        "OUTPUT": row.output,
        "PTY": row.pty if job.interactive else "",
        "PREFLIGHT": f'VERL_ENV_JOB=1 {shlex.quote(job.program or "")} cluster doctor --slurm --into "$environment"',
    }  # fmt: skip


def _options(job: ScriptJob, row: Scheduler) -> list[str]:
    """The directives that were asked for, and no more: sites refuse or force what is too much."""
    numbers = {"nodes": str(job.nodes), "gpus": str(job.gpus or ""), "cpus": str(job.cpus or "")}
    asked = {**job.options, **numbers}
    known = [
        text.format(asked[name], cpus=job.cpus or 1, gpus=job.gpus)
        for name, text in row.options.items()
        if asked.get(name)
    ]
    return [*known, *row.fixed, *job.directives]


def _variable(name: str, value: str) -> str:
    """A variable of the lockset; what the user has set wins, as in ``verl-env run``."""
    inside = re.sub(r'([\\"$`])', r"\\\1", value)
    return f'[[ -v {name} ]] || export {name}="{inside}"\n'


def _part(name: str) -> str:
    return resources.files("verl_env.cluster.script").joinpath(f"data/{name}.sh").read_text(encoding="utf-8")
