"""The aspects in which nodes must be alike, with what a difference means. One row each; the agent fills them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.records import record

if TYPE_CHECKING:
    from typing import Any

    from verl_env.cluster.model import Severity


@record
class Aspect:
    """One aspect: its name in words, and how grave it is that nodes differ in it."""

    words: str
    severity: Severity


#: In the order in which they are told. An aspect that is not here is compared as a warning.
ASPECTS: dict[str, Aspect] = {
    "arch": Aspect("architecture", "error"),
    "gpus": Aspect("GPUs", "error"),
    "driver": Aspect("GPU driver", "error"),
    "rocm": Aspect("ROCm", "error"),
    "environment": Aspect("environment", "error"),
    "lockset": Aspect("lockset", "error"),
    "patches": Aspect("patches of vLLM", "error"),
    "python": Aspect("Python of the environment", "error"),
    "ray": Aspect("Ray", "error"),
    "mounts": Aspect("directories", "error"),
    "glibc": Aspect("glibc", "error"),
    "infiniband": Aspect("InfiniBand", "error"),
    "interfaces": Aspect("network interfaces", "warning"),
    "limits": Aspect("ulimit", "warning"),
    "os": Aspect("operating system", "warning"),
    "kernel": Aspect("kernel", "warning"),
    "cpus": Aspect("CPUs", "warning"),
    "verl-env": Aspect("release of verl-env", "warning"),
}

_OTHER = Aspect("", "warning")


def aspect(name: str) -> Aspect:
    """The row of an aspect; one that is not in the table is a warning under its own name."""
    return ASPECTS.get(name, _OTHER)


def order(name: str) -> int:
    """The place of an aspect in the table."""
    return list(ASPECTS).index(name) if name in ASPECTS else len(ASPECTS)


def worded(value: Any) -> str:
    """A value for a reader: absent and unknown by their words, mappings by their entries."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {worded(item)}" for name, item in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(worded, value)) or "none"
    return str(value)
