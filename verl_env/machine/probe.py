"""The probe of this host: every part, joined into one machine."""

from __future__ import annotations

import os
import time

from verl_env.machine.child import Children
from verl_env.machine.model import Machine
from verl_env.machine.nvidia.probe import NvidiaProbe
from verl_env.machine.roots import Roots
from verl_env.records import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from verl_env.machine.fork import Forked
    from verl_env.machine.model import Problem

#: Seconds that vendor code gets in all; with the grace of a killed child the probe stays below 5 s.
SECONDS = 4.0

_FACTS = ("host", "nvidia", "amd", "toolchain", "pythons")


def probe(
    roots: Roots | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    forked: Forked | None = None,
    tools: bool = True,
) -> Machine:
    """Everything about a host, within 5 seconds even when every vendor tool hangs.

    Args:
        roots: The host's file system; None for that of this host.
        environ: Its environment; None for that of this process.
        forked: The child of ``nvidia.nvml.fork_nvml`` where the caller has started it already.
        tools: Whether compilers and interpreters are looked for, too.
    """
    roots, environ = roots or Roots(), os.environ if environ is None else environ
    until = time.monotonic() + SECONDS
    with Children(deadline=until) as children:
        nvidia = NvidiaProbe(children, roots, environ, forked=forked)
        parts = _others(roots, environ, until, tools=tools)
        report = nvidia.report()
    return join((Machine(nvidia=report.nvidia, sources=report.sources, problems=report.problems), *parts))


def probe_without_gpus(roots: Roots | None = None, environ: Mapping[str, str] | None = None) -> Machine:
    """The host, its tools and Pythons, and the statement that it has no GPU; no driver is asked.

    Arguments as in ``probe``.
    """
    from verl_env.machine.host import probe_host  # noqa: PLC0415
    from verl_env.machine.pythons import probe_pythons  # noqa: PLC0415
    from verl_env.machine.toolchain import probe_toolchain  # noqa: PLC0415

    roots, environ = roots or Roots(), os.environ if environ is None else environ
    parts = (probe_host(roots, environ), probe_toolchain(roots, environ), probe_pythons(roots, environ))
    return join((*parts, Machine(nvidia=None, amd=None)))


def join(parts: Iterable[Machine]) -> Machine:
    """One machine of parts that know different facts; where two know the same, the first counts."""
    known: dict[str, object] = {}
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    blank = values(Machine())
    for part in parts:
        told = {name: fact for name, fact in values(part).items() if name in _FACTS and fact != blank[name]}
        known = {**told, **known}
        sources = {**part.sources, **sources}
        problems += part.problems
    return Machine(**known, sources=sources, problems=tuple(problems))  # type: ignore[arg-type]


def _others(roots: Roots, environ: Mapping[str, str], until: float, *, tools: bool) -> list[Machine]:
    """Every part but NVIDIA's; they are imported here, while NVML is being asked in its child.

    One after another, as they seldom wait for anything: what threads cost at the start is more than they save. What
    ROCm's tools are given is what the others leave, as a wedged driver holds them to the end.
    """
    from verl_env.machine.amd.probe import probe_amd  # noqa: PLC0415
    from verl_env.machine.host import probe_host  # noqa: PLC0415

    parts = [probe_host(roots, environ)]
    if tools:
        from verl_env.machine.pythons import probe_pythons  # noqa: PLC0415
        from verl_env.machine.toolchain import probe_toolchain  # noqa: PLC0415

        parts += [probe_toolchain(roots, environ), probe_pythons(roots, environ)]
    return [*parts, probe_amd(roots, environ, deadline=until)]
