"""What the node itself says: limits, mounts, device nodes, processes. Read from /proc, /sys and a few system calls."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.running import is_network
from verl_env.reading import read_text
from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Programs whose place on PATH matters to some check.
_TOOLS = ("gcc", "cc", "clang", "g++", "nvcc", "hipcc", "ninja", "ray", "torchrun", "vllm", "uv", "pip")

#: Roles of directories: where each is, by environment variable or below the home directory.
_ROLES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("home", ("HOME",), ""),
    ("tmp", ("TMPDIR", "TMP", "TEMP"), "/tmp"),  # noqa: S108  the system's own default is what is meant
    ("ray-tmp", ("RAY_TMPDIR", "TMPDIR"), "/tmp"),  # noqa: S108
    ("triton-cache", ("TRITON_CACHE_DIR",), "~/.triton/cache"),
    ("inductor-cache", ("TORCHINDUCTOR_CACHE_DIR", "TMPDIR"), "/tmp"),  # noqa: S108
    ("extensions-cache", ("TORCH_EXTENSIONS_DIR",), "~/.cache/torch_extensions"),
    ("flashinfer-cache", ("FLASHINFER_WORKSPACE_BASE",), "~/.cache/flashinfer"),
    ("vllm-cache", ("VLLM_CACHE_ROOT",), "~/.cache/vllm"),
    ("hf-cache", ("HF_HOME",), "~/.cache/huggingface"),
    ("uv-cache", ("UV_CACHE_DIR",), "~/.cache/uv"),
    ("pip-cache", ("PIP_CACHE_DIR",), "~/.cache/pip"),
)


@record
class Directory:
    """A directory that tools write to: its path, the file system it is (or would be) on; sizes in bytes.

    ``variable`` is the environment variable that put it there, None for the default place.
    """

    path: str
    variable: str | None
    exists: bool
    writable: bool
    file_system: str
    noexec: bool
    device: int
    free_bytes: int
    free_files: int

    @property
    def network(self) -> bool:
        """Whether it is on a file system of the network."""
        return is_network(self.file_system)


@record
class ProcMount:
    """One line of /proc/mounts."""

    point: str
    file_system: str
    options: frozenset[str]


@record
class HostFacts:
    """Facts of this node and process; None is not known. Limits are soft ones, -1 is unlimited; sizes in bytes.

    ``interfaces`` are network interfaces that are up and real, ``all_interfaces`` those that there are. ``tools`` maps
    a program to its place on PATH, None where PATH has none. ``nodes`` are device nodes that exist, ``denied`` those of
    them that this user may not open. ``processes`` maps a program name to executables that run.
    """

    directories: Mapping[str, Directory] = NOTHING
    nofile: int | None = None
    nofile_hard: int | None = None
    nproc: int | None = None
    memlock: int | None = None
    shm_bytes: int | None = None
    cpus_online: int | None = None
    cpus_usable: int | None = None
    memory_available: int | None = None
    cgroup_memory: int | None = None
    cgroup_pids: int | None = None
    nodes: frozenset[str] | None = None
    denied: frozenset[str] | None = None
    modules: frozenset[str] | None = None
    nvswitch: bool | None = None
    interfaces: tuple[str, ...] | None = None
    all_interfaces: tuple[str, ...] | None = None
    default_route: bool | None = None
    tools: Mapping[str, str | None] | None = None
    processes: Mapping[str, tuple[str, ...]] | None = None
    parents: tuple[str, ...] | None = None
    ray_dir_owner: int | None = None
    uid: int | None = None


def read_host(environment: Mapping[str, str], *, root: str = "/") -> HostFacts:
    """The facts of this node; what cannot be read stays unknown.

    Args:
        environment: The variables that place caches and temporary directories.
        root: Where /proc, /sys and /dev are; another one in tests.
    """
    at = Path(root)
    mounts = read_mounts(at / "proc/mounts")
    nodes = _nodes(at)
    return HostFacts(
        directories={role: directory(path, name, mounts) for role, name, path in places(environment)},
        nofile=_limit(resource.RLIMIT_NOFILE),
        nofile_hard=_limit(resource.RLIMIT_NOFILE, hard=True),
        nproc=_limit(resource.RLIMIT_NPROC),
        memlock=_limit(resource.RLIMIT_MEMLOCK),
        shm_bytes=_size(at / "dev/shm"),
        cpus_online=os.cpu_count(),
        cpus_usable=len(os.sched_getaffinity(0)),
        memory_available=_mem_available(at),
        cgroup_memory=_cgroup(at, "memory.max"),
        cgroup_pids=_cgroup(at, "pids.max"),
        nodes=nodes,
        denied=None if nodes is None else frozenset(n for n in nodes if not os.access(at / n[1:], os.R_OK | os.W_OK)),
        modules=_modules(at),
        nvswitch=_nvswitch(at),
        interfaces=_interfaces(at),
        all_interfaces=_all_interfaces(at),
        default_route=_default_route(at),
        tools={tool: shutil.which(tool, path=environment.get("PATH")) for tool in _TOOLS},
        processes=_processes(at),
        parents=_parents(at),
        ray_dir_owner=_owner(at / "tmp/ray"),
        uid=os.getuid(),
    )


def places(environment: Mapping[str, str]) -> list[tuple[str, str | None, str]]:
    """Role, variable that decides (None for the default) and path of every directory that tools write to."""
    home = environment.get("HOME") or str(Path("~").expanduser())
    found = []
    for role, variables, default in _ROLES:
        name = next((variable for variable in variables if environment.get(variable)), None)
        path = environment[name] if name else default.replace("~", home)
        found.append((role, name, path))
    return found


def read_mounts(path: Path) -> tuple[ProcMount, ...]:
    """The mounts of /proc/mounts, in its order; empty where it cannot be read."""
    found = []
    for line in _text(path).splitlines():
        parts = line.split(" ")
        if len(parts) >= 4:  # noqa: PLR2004  device, point, type, options
            point = parts[1].replace("\\040", " ")
            found.append(ProcMount(point, parts[2], frozenset(parts[3].split(","))))
    return tuple(found)


def mount_of(path: str, mounts: Sequence[ProcMount]) -> ProcMount | None:
    """The mount that a path is on: the last of the deepest points above it."""
    best: ProcMount | None = None
    for mount in mounts:
        point = mount.point.rstrip("/")
        inside = path == mount.point or path.startswith(point + "/")
        if inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def directory(path: str, variable: str | None, mounts: Sequence[ProcMount]) -> Directory:
    """The facts of one directory; where it does not exist, those of its nearest parent that does."""
    real = Path(os.path.realpath(path))
    there = next(parent for parent in (real, *real.parents) if parent.exists())
    mount = mount_of(str(there), mounts)
    space = os.statvfs(there)
    return Directory(
        path=path,
        variable=variable,
        exists=there == real,
        writable=os.access(there, os.W_OK | os.X_OK),
        file_system=mount.file_system if mount else "",
        noexec=bool(space.f_flag & os.ST_NOEXEC),
        device=there.stat().st_dev,
        free_bytes=space.f_bavail * space.f_frsize,
        free_files=space.f_favail,
    )


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError:
        return ""


def _limit(which: int, *, hard: bool = False) -> int:
    value = resource.getrlimit(which)[hard]
    return -1 if value == resource.RLIM_INFINITY else value


def _size(path: Path) -> int | None:
    try:
        space = os.statvfs(path)
    except OSError:
        return None
    return space.f_blocks * space.f_frsize


def _mem_available(root: Path) -> int | None:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup(root: Path, name: str) -> int | None:
    """The tightest limit of this process's cgroup (version 2) and those above it; None where none is set."""
    group = next((line[3:] for line in _text(root / "proc/self/cgroup").splitlines() if line.startswith("0::")), "/")
    base = root / "sys/fs/cgroup"
    here = base / group.strip("/")
    limits = []
    while here == base or base in here.parents:
        value = _text(here / name).strip()
        if value.isdigit():
            limits.append(int(value))
        here = here.parent
    return min(limits, default=None)


def _nodes(root: Path) -> frozenset[str] | None:
    """The device nodes of accelerators and their fabric."""
    try:
        names = os.listdir(root / "dev")  # noqa: PTH208  names alone are wanted
    except OSError:
        return None
    wanted = [name for name in names if name.startswith("nvidia") or name in {"kfd", "infiniband"}]
    renders = [f"dri/{path.name}" for path in (root / "dev/dri").glob("renderD*")]
    imex = [f"{path.parent.name}/{path.name}" for path in (root / "dev/nvidia-caps-imex-channels").glob("channel*")]
    return frozenset(f"/dev/{name}" for name in (*wanted, *renders, *imex))


def _modules(root: Path) -> frozenset[str] | None:
    text = _text(root / "proc/modules")
    return frozenset(line.split(" ", 1)[0] for line in text.splitlines()) if text else None


def _nvswitch(root: Path) -> bool | None:
    """Whether an NVIDIA bridge of class 0x0680, an NVSwitch, is on the PCI bus."""
    devices = list((root / "sys/bus/pci/devices").glob("*"))
    if not devices:
        return None
    return any(
        _text(device / "vendor").strip() == "0x10de" and _text(device / "class").startswith("0x0680")
        for device in devices
    )


def _all_interfaces(root: Path) -> tuple[str, ...] | None:
    """Every network interface, up or not; files beside them (``bonding_masters``) are none."""
    base = root / "sys/class/net"
    return tuple(sorted(path.name for path in base.iterdir() if path.is_dir())) if base.is_dir() else None


def _interfaces(root: Path) -> tuple[str, ...] | None:
    """Network interfaces that are up, without loopback and virtual bridges."""
    names = _all_interfaces(root)
    if names is None:
        return None
    virtual = ("lo", "docker", "veth", "br-", "virbr", "cni", "flannel", "tun", "dummy")
    base = root / "sys/class/net"
    return tuple(n for n in names if not n.startswith(virtual) and _text(base / n / "operstate").strip() == "up")


def _default_route(root: Path) -> bool | None:
    lines = _text(root / "proc/net/route").splitlines()[1:]
    if not (root / "proc/net/route").exists():
        return None
    return any(line.split()[1:2] == ["00000000"] for line in lines)


def _processes(root: Path) -> dict[str, tuple[str, ...]] | None:
    """Executables of running raylet and fabric manager processes."""
    found: dict[str, set[str]] = {}
    for path in (root / "proc").glob("[0-9]*"):
        name = _text(path / "comm").strip()
        if name in {"raylet", "gcs_server", "nv-fabricmanage"}:
            try:
                found.setdefault(name, set()).add(str((path / "exe").readlink()))
            except OSError:
                found.setdefault(name, set()).add("")
    return {name: tuple(sorted(paths)) for name, paths in found.items()}


def _parents(root: Path) -> tuple[str, ...]:
    """Names of the processes above this one, nearest first."""
    names, pid = [], os.getppid()
    while pid > 1:
        stat = _text(root / f"proc/{pid}/stat")
        if not stat:
            break
        names.append(stat[stat.find("(") + 1 : stat.rfind(")")])
        pid = int(stat[stat.rfind(")") + 2 :].split()[1])
    return tuple(names)


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None
