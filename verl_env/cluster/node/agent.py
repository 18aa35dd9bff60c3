"""The task of one node: probes and diagnoses it, and prints its answer.

Started by ``cluster.command`` with one argument, a JSON object: ``into`` is the environment (null for none), ``wanted``
whether it must be there; ``directories`` are compared between nodes, and those that are ``required`` must exist.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cluster.answers import SCHEMA, answer_lines
from verl_env.cluster.model import JOB_VARIABLE, NodeFault
from verl_env.cluster.node import space
from verl_env.cluster.node.environment import aspects
from verl_env.cluster.node.facts import directories, host_aspects, machine_aspects
from verl_env.cluster.node.occupied import occupied
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import read_host
from verl_env.doctor.errors import NoEnvironmentError
from verl_env.doctor.gather import gather
from verl_env.doctor.run import diagnose
from verl_env.machine.probe import probe
from verl_env.machine.record import machine_to_json
from verl_env.machine.system.job import as_in_job, has_amd_driver
from verl_env.records import as_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from verl_env.doctor.engines.host import HostFacts
    from verl_env.machine.model import Machine

#: The name of the node where no scheduler gives one.
NODE_VARIABLE = "VERL_ENV_NODE"
#: Findings that say nothing of a job by our scripts: these tell Ray its CPUs, and a directory of its own.
_SEEN_TO = frozenset({"ray-worker-flood", "ray-tmp-foreign", "socket-path-too-long"})
_EVIDENCE = 6


def main(argv: list[str]) -> None:
    """Prints the answer of this node."""
    asked = json.loads(argv[0])
    clock = time.time()
    sys.stdout.write(answer_lines({**answer(asked, as_in_job(os.environ, amd=has_amd_driver())), "clock": clock}))
    sys.stdout.flush()
    # A check that hangs in the kernel is left behind in a thread; the exit of Python would wait for what it holds.
    os._exit(0)


def node_name(environ: Mapping[str, str]) -> str:
    """The name of this node as its scheduler has it: host names may be equal, and need not be the names of nodes."""
    return environ.get(NODE_VARIABLE) or environ.get("SLURMD_NODENAME") or socket.gethostname()


def answer(asked: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """All that this node says, except for the time."""
    machine = probe()
    host = read_host(environ)
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "node": node_name(environ),
        "host": socket.gethostname(),
        "aspects": {**machine_aspects(machine), **host_aspects(host), "mounts": directories(asked["directories"])},
        "machine": machine_to_json(machine),
    }
    problems = [NodeFault(problem.id, "error", problem.message) for problem in machine.problems]
    faults = [*problems, *_absent(asked["required"]), *space.faults(host), *filter(None, [occupied()])]
    findings, more, own = _environment(asked, environ, machine, host)
    faults += own
    found["aspects"] |= more
    return {**found, "findings": findings, "faults": [as_dict(fault) for fault in faults]}


def _absent(paths: list[str]) -> list[NodeFault]:
    """A fault for each directory that was asked for and is not there."""
    return [
        NodeFault("directory-missing", "error", f"{path} is not there") for path in paths if not Path(path).is_dir()
    ]


def _environment(
    asked: Mapping[str, Any], environ: Mapping[str, str], machine: Machine, host: HostFacts
) -> tuple[list[dict[str, Any]], dict[str, Any], list[NodeFault]]:
    """Findings, aspects and faults of the environment on this node."""
    if asked["into"] is None:
        return [], {}, []
    try:
        facts = gather(Path(asked["into"]), dict(environ), machine, host=host)
    except NoEnvironmentError as error:
        fault = [NodeFault("environment-missing", "error", error.message)] if asked["wanted"] else []
        return [], {"environment": None}, fault
    findings = [
        {
            "id": finding.id,
            "severity": finding.severity,
            "title": finding.title,
            "evidence": list(finding.evidence[:_EVIDENCE]),
            "cause": finding.cause,
            "remedy": {"text": finding.remedy.text, "commands": list(finding.remedy.commands)},
        }
        for finding in diagnose(facts, CHECKS).findings
        if finding.severity != "info" and not (environ.get(JOB_VARIABLE) and finding.id in _SEEN_TO)
    ]
    return findings, aspects(facts), []
