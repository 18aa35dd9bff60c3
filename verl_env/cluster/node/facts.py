"""The aspects of a node's machine: what the probe and the kernel say, without what may differ harmlessly."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from verl_env import __version__
from verl_env.cluster.node.links import ports
from verl_env.doctor.engines.host import mount_of, read_mounts
from verl_env.machine.model import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from verl_env.doctor.engines.host import HostFacts
    from verl_env.machine.model import Machine

_LIMITS = ("nofile", "nproc", "memlock")


def machine_aspects(machine: Machine) -> dict[str, Any]:
    """GPUs, drivers, C library and the like; what is unknown is left out, as nothing may rest on it."""
    host, nvidia, amd = machine.host, machine.nvidia, machine.amd
    found: dict[str, Any] = {
        "arch": host.arch,
        "gpus": _gpus(machine),
        "driver": nvidia.driver if nvidia else amd.driver if amd else None,
        "rocm": amd.rocm if amd else UNKNOWN,
        "glibc": host.glibc,
        "os": f"{host.os} {host.os_version}" if host.os else UNKNOWN,
        "kernel": host.kernel,
        "verl-env": __version__,
    }
    if nvidia is UNKNOWN and amd is UNKNOWN:
        found["gpus"] = found["driver"] = UNKNOWN
    return {name: value for name, value in found.items() if value is not UNKNOWN}


def host_aspects(host: HostFacts) -> dict[str, Any]:
    """CPUs, limits, interfaces and fabric of the node."""
    found: dict[str, Any] = {
        "cpus": host.cpus_online,
        "limits": {name: _limit(getattr(host, name)) for name in _LIMITS if getattr(host, name) is not None},
        "interfaces": None if host.interfaces is None else list(host.interfaces),
        "infiniband": ports(),
    }
    return found


def directories(paths: Iterable[str]) -> dict[str, str]:
    """Each directory with the kind of file system that it is on, or ``missing``."""
    from pathlib import Path  # noqa: PLC0415

    mounts = read_mounts(Path("/proc/mounts"))
    found = {}
    for path in paths:
        mount = mount_of(str(Path(path).resolve()), mounts)
        found[path] = "missing" if not Path(path).exists() else mount.file_system if mount else "unknown"
    return found


def _gpus(machine: Machine) -> list[str] | None:
    """Each kind of GPU with its number: ``8 x NVIDIA H100 80GB HBM3, 9.0``."""
    nvidia = machine.nvidia.devices if machine.nvidia else ()
    amd = machine.amd.devices if machine.amd else ()
    kinds = [
        f"{each.name or 'unknown'}, {each.compute_capability or '?'}{', MIG' if each.mig else ''}" for each in nvidia
    ]
    kinds += [f"{each.name or 'unknown'}, {each.gfx or '?'}" for each in amd]
    return [f"{number} x {kind}" for kind, number in sorted(Counter(kinds).items())] or None


def _limit(value: int) -> int | str:
    return "unlimited" if value < 0 else value
