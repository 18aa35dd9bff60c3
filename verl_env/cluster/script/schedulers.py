"""The table of schedulers: what each calls the nodes, and how a command gets to them."""

from __future__ import annotations

import sys
from importlib import resources
from typing import TYPE_CHECKING

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("slurm", "pbs", "lsf", "flux")

#: Makes a launcher for many nodes of one that reaches a single one, and does not carry variables along.
_EACH = """\
each() ( # LIST COMMAND...: starts it on each node; ends when the first of them ends, and ends the others
    trap 'kill $(jobs -p) 2>/dev/null' EXIT
    trap 'exit 143' TERM
    list=$1
    shift
    for node in ${{list//,/ }}; do
        {launch} "$node" env VERL_NODE="$node" bash -c "$(export -p)"$'\\n"$@"' step "$@" &
    done
    wait -n
)
"""


@record
class Scheduler:
    """One row. ``tested`` says whether its scripts were run; texts are shell, as ``data/schedulers.toml`` explains."""

    tested: bool
    directive: str
    options: Mapping[str, str]
    fixed: tuple[str, ...]
    submit: str
    job: str
    nodes: str
    step: str
    node: str = "${VERL_NODE:-$(hostname)}"
    gpus: str = "{}"
    cpus: str = "$(nproc)"
    output: str = ""
    pty: str = ""
    each: str = ""


def scheduler(name: str) -> Scheduler:
    """The row of a scheduler.

    Raises:
        KeyError: there is none.
    """
    text = resources.files("verl_env.cluster.script").joinpath("data/schedulers.toml").read_text(encoding="utf-8")
    row = tomllib.loads(text)[name]
    launch = row.pop("launch", None)
    if launch is not None:
        row |= {"each": _EACH.format(launch=launch), "step": '    step=(each "$list")'}
    return Scheduler(**{**row, "fixed": tuple(row["fixed"]), "step": row["step"].strip("\n")})
