"""The diagnosis of a report: what checks find, what no check explains, and what was read at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from verl_env.doctor.run import diagnose
from verl_env.doctor.unexplained import unexplained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Check, Diagnosis
    from verl_env.machine.model import Machine


def diagnose_report(facts: Facts, checks: Sequence[Check], *, whole: bool = True) -> Diagnosis:
    """The diagnosis of what a report states.

    Args:
        facts: What was read of it.
        checks: The checks that are made.
        whole: Whether these are all checks; of some alone, what they do not explain says nothing.
    """
    diagnosis = diagnose(facts, checks)
    unknown = unexplained(facts, diagnosis.findings, checks) if whole else ()
    read = tuple(_read(facts))
    seen = bool(read or unknown or diagnosis.findings)
    return replace(diagnosis, unrecognised=unknown, read=(read or ("the log",)) if seen else ())


def _read(facts: Facts) -> Iterator[str]:
    """What a report states, in words."""
    if facts.packages:
        yield "1 package" if len(facts.packages) == 1 else f"{len(facts.packages)} packages"
    yield from _machine(facts.machine)
    if facts.python:
        yield f"Python {facts.python}"
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
