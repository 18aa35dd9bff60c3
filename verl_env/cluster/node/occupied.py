"""Processes that hold memory of this node's GPUs already: what vLLM would need is not there."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cluster.model import NodeFault
from verl_env.machine.child import run
from verl_env.machine.process import Completed

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECONDS = 10.0
_QUERY = ("nvidia-smi", "--query-compute-apps=pid,used_gpu_memory,gpu_uuid", "--format=csv,noheader,nounits")


def occupied() -> NodeFault | None:
    """The processes on this node's GPUs; None where there are none, or where nothing can be asked."""
    return judge([*on_nvidia(), *on_amd()], os.getuid())


def on_nvidia() -> list[tuple[int, str, str]]:
    """Process id, MiB and GPU of each that holds memory of an NVIDIA GPU, as nvidia-smi says; none where it is not."""
    outcome = run(_QUERY, deadline=time.monotonic() + _SECONDS)
    if not isinstance(outcome, Completed) or outcome.returncode:
        return []
    return parse(outcome.stdout.decode("utf-8", "replace"))


def on_amd(root: str = "/") -> list[tuple[int, str, str]]:
    """Process id, MiB and GPU of each that holds memory of an AMD GPU.

    The kernel itself lists them, for everybody to read: ``/sys/class/kfd/kfd/proc/PID/vram_GPU`` in bytes (Linux,
    drivers/gpu/drm/amd/amdkfd/kfd_process.c).
    """
    found = []
    for file in sorted(Path(root).glob("sys/class/kfd/kfd/proc/[0-9]*/vram_*")):
        try:
            held = int(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if held:
            found.append((int(file.parent.name), f"{held >> 20}", f"GPU {file.name.removeprefix('vram_')}"))
    return found


def parse(text: str) -> list[tuple[int, str, str]]:
    """Process id, MiB and GPU of each line of nvidia-smi's answer; other lines are passed over."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[0].isdigit():  # noqa: PLR2004  the three columns that were asked for
            found.append((int(parts[0]), parts[1], parts[2]))
    return found


def judge(processes: Iterable[tuple[int, str, str]], uid: int, root: str = "/") -> NodeFault | None:
    """Other people's processes are an error, one's own a warning: they may be those of a Ray that is wanted."""
    foreign: list[str] = []
    own: list[str] = []
    for pid, memory, gpu in processes:
        owner = _owner(pid, root)
        line = f"process {pid} of {_name(owner)} holds {memory} MiB of {gpu}"
        (own if owner == uid else foreign).append(line)
    if foreign:
        return NodeFault("gpu-occupied", "error", "Other processes hold memory of its GPUs", (*foreign, *own))
    return (
        NodeFault("gpu-occupied", "warning", "Your own processes hold memory of its GPUs", tuple(own)) if own else None
    )


def _owner(pid: int, root: str) -> int | None:
    try:
        return (Path(root) / "proc" / str(pid)).stat().st_uid
    except OSError:
        return None


def _name(uid: int | None) -> str:
    if uid is None:
        return "somebody that this process cannot see"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
