"""Collects what builds rest on: the lock from the plan, the host from its record or from a look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.install.builds.jobs import available_memory
from verl_env.install.builds.model import Host, Lock
from verl_env.install.builds.targets import gpu_targets
from verl_env.machine.host import probe_host
from verl_env.machine.model import UNKNOWN, Toolchain
from verl_env.machine.roots import Roots
from verl_env.machine.toolchain import probe_toolchain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.install.model import Plan
    from verl_env.machine.model import Machine


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


def host_of(machine: Machine | None, accelerator: str, environ: Mapping[str, str]) -> Host:
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
    return Host(
        toolchain=toolchain,
        cpus=host.cpus if isinstance(host.cpus, int) else 1,
        memory=_least(available_memory(roots), host.memory_bytes if isinstance(host.memory_bytes, int) else None),
        glibc=host.glibc if isinstance(host.glibc, str) else None,
        targets=gpu_targets(machine, accelerator),
        environ=environ,
    )


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
