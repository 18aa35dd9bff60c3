"""Collects what builds rest on: the lock from the plan, the host from its record or from a look at it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from verl_env.builds.jobs import available_memory
from verl_env.builds.model import BuildHost, Lock
from verl_env.builds.targets import gpu_targets
from verl_env.machine.child import Completed, NotFound, run_all
from verl_env.machine.host import probe_host
from verl_env.machine.model import UNKNOWN, Toolchain
from verl_env.machine.roots import Roots
from verl_env.machine.toolchain import parse_version, probe_toolchain
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.model import Fact, Machine
    from verl_env.plans.model import Plan

#: Seconds that compilers get to say their versions.
_SECONDS = 5.0
_LAUNCHERS = frozenset({"ccache", "sccache", "distcc", "env"})


def lock_of(plan: Plan, interpreter: str | None) -> Lock:
    """What of a plan decides how its components are built."""
    packages = {package.name: package.version for package in plan.packages}
    return Lock(
        torch=packages.get("torch", plan.lockset.torch),
        cuda=plan.lockset.cuda,
        rocm=plan.lockset.rocm,
        python=plan.python,
        interpreter=interpreter or plan.interpreter,
        arch=plan.arch,
        packages=packages,
        constraints=plan.lockset.build_constraints,
    )


def host_of(machine: Machine | None, accelerator: str, environ: Mapping[str, str]) -> BuildHost:
    """This host, as builds see it.

    GPUs are those of the machine that is installed for, which may be described: a login node has none. Tools, CPUs
    and memory are this host's, as it is the one that compiles.

    Args:
        machine: What is installed for; its toolchain counts where it was looked for.
        accelerator: ``cuda`` or ``rocm``.
        environ: The variables of the user.
    """
    roots = Roots()
    toolchain = UNKNOWN if machine is None else machine.toolchain
    if not isinstance(toolchain, Toolchain):
        probed = probe_toolchain(roots, environ).toolchain
        toolchain = probed if isinstance(probed, Toolchain) else Toolchain()
    host = probe_host(roots, environ).host
    return BuildHost(
        toolchain=_chosen(toolchain, environ),
        cpus=host.cpus if isinstance(host.cpus, int) else 1,
        memory=_least(available_memory(roots), host.memory_bytes if isinstance(host.memory_bytes, int) else None),
        glibc=host.glibc if isinstance(host.glibc, str) else None,
        targets=gpu_targets(machine, accelerator),
        environ=environ,
    )


def _chosen(toolchain: Toolchain, environ: Mapping[str, str]) -> Toolchain:
    """The toolchain with the compilers that the user chose by ``CC`` and ``CXX``, which builds take before others."""
    paths = {fact: _program(environ.get(name, "")) for fact, name in (("gcc", "CC"), ("gxx", "CXX"))}
    named = {fact: path for fact, path in paths.items() if path}
    outcomes = run_all(
        [[path, "-dumpfullversion", "-dumpversion"] for path in named.values()],
        deadline=time.monotonic() + _SECONDS,
        env={**environ, "LC_ALL": "C"},
    )
    found: dict[str, Fact[str]] = {}
    for fact, outcome in zip(named, outcomes, strict=True):
        said = outcome.stdout.decode("utf-8", "replace") if isinstance(outcome, Completed) else ""
        version = parse_version(fact, said)
        found[fact] = None if isinstance(outcome, NotFound) else version or UNKNOWN
    return replace(toolchain, **found)


def _program(command: str) -> str | None:
    """The compiler of a variable, which may have a launcher before it and flags after it."""
    words = [word for word in command.split() if word.rpartition("/")[2] not in _LAUNCHERS]
    return words[0] if words else None


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
