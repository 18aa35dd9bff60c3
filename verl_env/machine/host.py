"""The operating system, and the share of the hardware that this process may use."""

from __future__ import annotations

import os

from verl_env.machine.model import UNKNOWN, Host, Machine
from verl_env.machine.plain import digits
from verl_env.machine.system.cgroup import cpu_limit, memory_limit, parse_mountinfo
from verl_env.machine.system.container import find_container, find_wsl, parse_tegra_release
from verl_env.machine.system.glibc import read_libc
from verl_env.machine.system.osrelease import read_os
from verl_env.machine.system.scheduler import slurm_cpus, slurm_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from verl_env.machine.model import Fact, Known
    from verl_env.machine.roots import Roots
    from verl_env.machine.system.cgroup import Mount

_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}
_TEGRA_RELEASE = "/etc/nv_tegra_release"
_DEVICE_TREE = "/proc/device-tree/compatible"


def probe_host(roots: Roots, environ: Mapping[str, str]) -> Machine:
    """The host as a machine of which nothing else is known; each value has its source, none of them starts a process.

    The one exception: on musl the loader is run for its version.
    """
    mounts = parse_mountinfo(roots.read("/proc/self/mountinfo") or "")
    libc = read_libc(roots)
    os_id, os_version, os_source = read_os(roots)
    container, container_source = find_container(roots, environ, mounts)
    wsl, wsl_source = find_wsl(roots)
    kernel, kernel_source = _kernel(roots)
    cpus, cpus_source = _cpus(roots, environ, mounts)
    memory, memory_source = _memory(roots, environ, mounts)
    jetson, jetson_source = _jetson(roots)
    host = Host(
        os=os_id,
        os_version=os_version,
        kernel=kernel,
        arch=_arch(os.uname().machine),
        glibc=libc.glibc,
        musl=libc.musl,
        cpus=cpus,
        memory_bytes=memory,
        wsl=wsl,
        container=container,
        jetson=jetson,
    )
    sources = {
        "host.os": os_source,
        "host.os_version": os_source,
        "host.kernel": kernel_source,
        "host.arch": "uname",
        "host.glibc": libc.source,
        "host.musl": libc.source,
        "host.cpus": cpus_source,
        "host.memory_bytes": memory_source,
        "host.wsl": wsl_source,
        "host.container": container_source,
        "host.jetson": jetson_source,
    }
    return Machine(host=host, sources={key: source for key, source in sources.items() if source})


def _kernel(roots: Roots) -> tuple[str, str]:
    """The kernel release; from ``/proc`` so that a described root counts."""
    path = "/proc/sys/kernel/osrelease"
    text = (roots.read(path) or "").strip()
    return (text, path) if text else (os.uname().release, "uname")


def _arch(machine: str) -> str:
    """The architecture as wheels name it."""
    return _ARCH.get(machine, machine)


def _cpus(roots: Roots, environ: Mapping[str, str], mounts: tuple[Mount, ...]) -> tuple[Known[int], str | None]:
    """The fewest CPUs that affinity, control groups and Slurm allow, and which of them says so."""
    affinity = len(os.sched_getaffinity(0)), "sched_getaffinity"
    limit = cpu_limit(roots, mounts)
    return _least([affinity, (limit.value, limit.source) if limit else None, slurm_cpus(environ)])


def _memory(roots: Roots, environ: Mapping[str, str], mounts: tuple[Mount, ...]) -> tuple[Known[int], str | None]:
    """The least memory that the machine, control groups and Slurm allow, and which of them says so."""
    lines = map(str.split, (roots.read("/proc/meminfo") or "").splitlines())
    kilobytes = next((line[1] for line in lines if line[:1] == ["MemTotal:"] and line[2:] == ["kB"]), "")
    total = (int(kilobytes) << 10, "/proc/meminfo") if digits(kilobytes, 15) else None
    limit = memory_limit(roots, mounts)
    return _least([total, (limit.value, limit.source) if limit else None, slurm_memory(environ)])


def _least(bounds: Iterable[tuple[int, str] | None]) -> tuple[Known[int], str | None]:
    """The smallest bound with its source; the first of equals."""
    known = [bound for bound in bounds if bound is not None]
    return min(known, key=lambda bound: bound[0]) if known else (UNKNOWN, None)


def _jetson(roots: Roots) -> tuple[Fact[str], str | None]:
    """The Jetson Linux release; unknown on a Tegra board that does not state it (a container without the file)."""
    text = roots.read(_TEGRA_RELEASE)
    if text is not None:
        return parse_tegra_release(text) or UNKNOWN, _TEGRA_RELEASE
    if "nvidia,tegra" in (roots.read(_DEVICE_TREE) or ""):
        return UNKNOWN, _DEVICE_TREE
    return None, None
