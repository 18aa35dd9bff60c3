"""The AMD side of a machine: is there one?"""

from __future__ import annotations

import time

from verl_env.machine.amd.kfd import NODES, read_topology
from verl_env.machine.amd.pci import DEVICES, WSL, find_gpus
from verl_env.machine.amd.rocm import find_rocm
from verl_env.machine.model import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.roots import Roots

#: Seconds that ROCm's tools get when no deadline is given.
SECONDS = 2.5


def probe_amd(roots: Roots, environ: Mapping[str, str], *, deadline: float | None = None) -> Machine:
    """The AMD side as a machine of which nothing else is known.

    ``amd`` is None where there is neither an AMD GPU for computing, nor its driver with one, nor ROCm. The kernel's
    list of GPUs comes first, and where it says everything no process is started; ROCm's tools run side by side for
    what it leaves open. A device keeps the index that ROCm gives it.

    Args:
        roots: The host to probe.
        environ: Its environment.
        deadline: The time of ``time.monotonic()`` at which the tools are ended; None for ``SECONDS`` from now.
    """
    until = time.monotonic() + SECONDS if deadline is None else deadline
    topology, bus, rocm = read_topology(roots), find_gpus(roots), find_rocm(roots, environ)
    if topology or bus or rocm.chosen or roots.exists(WSL):
        from verl_env.machine.amd.examine import examine  # noqa: PLC0415  (most hosts have nothing to examine)

        machine = examine(roots, environ, topology, bus, rocm, deadline=until)
        if machine is not None:
            return machine
    return Machine(amd=None, sources={"amd": f"{NODES}, {DEVICES}"})
