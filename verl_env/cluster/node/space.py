"""Free space of a node: where Ray, Triton and the kernels' caches write, and the shared memory of NCCL and Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.cluster.model import NodeFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.doctor.engines.host import Directory, HostFacts

_GIB = 1 << 30
#: Below these a job dies, or may: Ray stops giving tasks to a node whose disk is 95 % full, and spills objects there.
DIES, TIGHT = 1 * _GIB, 10 * _GIB
#: Entries of a file system: Ray's session and Triton's cache make some thousands.
FEW_FILES = 10_000
_ROLES = ("tmp", "ray-tmp", "triton-cache")


def faults(host: HostFacts) -> Iterator[NodeFault]:
    """What is too small, each file system once."""
    seen = set()
    for role in _ROLES:
        place = host.directories.get(role)
        if place is None or place.device in seen:
            continue
        seen.add(place.device)
        yield from _of(place)


def _of(place: Directory) -> Iterator[NodeFault]:
    if not place.writable:
        yield NodeFault("not-writable", "error", f"{place.path} cannot be written")
    elif place.free_bytes < TIGHT:
        severity = "error" if place.free_bytes < DIES else "warning"
        yield NodeFault("no-space", severity, f"{place.path} has {place.free_bytes / _GIB:.1f} GiB free")  # type: ignore[arg-type]
    elif 0 <= place.free_files < FEW_FILES and place.free_files:
        yield NodeFault("no-space", "warning", f"{place.path} has room for {place.free_files} files")
