"""The diagnosis of a report: what checks find, what no check explains, and what was read at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.doctor.ingest.failures import survived
from verl_env.doctor.run import diagnose
from verl_env.doctor.unexplained import unexplained
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verl_env.doctor.check import Check
    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Diagnosis, Finding
    from verl_env.machine.model import Machine


def diagnose_report(facts: Facts, checks: Sequence[Check], *, whole: bool = True) -> Diagnosis:
    """The diagnosis of what a report states.

    Args:
        facts: What was read of it.
        checks: The checks that are made.
        whole: Whether these are all checks; of some alone, what they do not explain says nothing.
    """
    diagnosis, ran_on = diagnose(facts, checks), survived(facts.log)
    if ran_on:
        diagnosis = replace(diagnosis, findings=tuple(_remark(one) for one in diagnosis.findings))
    unknown = unexplained(facts, diagnosis.findings, checks) if whole and not ran_on else ()
    read = tuple(_read(facts))
    seen = bool(read or unknown or diagnosis.findings)
    return replace(diagnosis, unrecognised=unknown, read=(read or ("the log",)) if seen else ())


def _remark(finding: Finding) -> Finding:
    """An error of a log as what it was where the program ran afterwards."""
    if finding.basis != "log" or finding.severity != "error":
        return finding
    return replace(finding, severity="warning", evidence=(*finding.evidence, "the program ran after it"))


def _read(facts: Facts) -> Iterator[str]:
    """What a report states, in words."""
    if facts.packages:
        yield "1 package" if len(facts.packages) == 1 else f"{len(facts.packages)} packages"
    yield from _machine(facts.machine)
    if facts.python:
        yield f"Python {facts.python}"
    if facts.logged:
        yield f"{facts.logged} lines of a program's log"
    if facts.environment:
        yield "1 variable" if len(facts.environment) == 1 else f"{len(facts.environment)} variables"


def _machine(machine: Machine) -> Iterator[str]:
    host = machine.host
    if machine.nvidia and machine.nvidia.devices:
        yield machine.nvidia.devices[0].name or f"a GPU of {machine.nvidia.devices[0].compute_capability}"
    if machine.nvidia and machine.nvidia.driver:
        yield f"driver {machine.nvidia.driver}"
    if machine.amd and machine.amd.devices:
        yield machine.amd.devices[0].name or machine.amd.devices[0].gfx or "an AMD GPU"
    if host.os or host.glibc or host.arch:
        yield " ".join(str(part) for part in (host.os, host.os_version, host.arch) if part) or f"glibc {host.glibc}"
    if machine.toolchain:
        yield "compilers"
