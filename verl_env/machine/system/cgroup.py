"""What control groups allow this process: CPUs and memory, versions 1 and 2, every level of the hierarchy."""

from __future__ import annotations

from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.machine.roots import Roots

_OCTAL = r"\\([0-7]{3})"
_V2 = ""
#: Version 1 writes "no limit" as a number near 2**63.
_UNLIMITED = 1 << 60


@record
class Mount:
    """One line of ``/proc/self/mountinfo``: which directory of a file system is mounted where."""

    root: str
    point: str
    kind: str
    options: tuple[str, ...]


@record
class Limit:
    """A limit and the file that states it."""

    value: int
    source: str


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """The mounts of ``/proc/<pid>/mountinfo`` (proc_pid_mountinfo(5)); lines of another form are left out."""
    mounts = []
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if dash and len(left) >= 5 and len(right) >= 2:  # noqa: PLR2004
            options = tuple(right[2].split(",")) if len(right) > 2 else ()  # noqa: PLR2004
            mounts.append(Mount(_plain(left[3]), _plain(left[4]), right[0], options))
    return tuple(mounts)


def parse_cgroups(text: str) -> dict[str, str]:
    """The path of this process per controller, from ``/proc/self/cgroup``; version 2 stands under ``""``."""
    paths = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:  # noqa: PLR2004
            paths.update(dict.fromkeys(parts[1].split(","), parts[2]))
    return paths


def cpu_limit(roots: Roots, mounts: tuple[Mount, ...]) -> Limit | None:
    """The CPU time quota in whole CPUs, rounded up, of the tightest level; None without a quota."""
    limits = []
    for directory in _levels(roots, mounts, _V2):
        file = f"{directory}/cpu.max"
        quota, _, period = (roots.read(file) or "").partition(" ")
        limits += _cpus(quota, period, file)
    for directory in _levels(roots, mounts, "cpu"):
        file = f"{directory}/cpu.cfs_quota_us"
        limits += _cpus(roots.read(file) or "", roots.read(f"{directory}/cpu.cfs_period_us") or "", file)
    return min(limits, key=lambda limit: limit.value, default=None)


def memory_limit(roots: Roots, mounts: tuple[Mount, ...]) -> Limit | None:
    """The memory limit in bytes of the tightest level; None without one."""
    files = [f"{directory}/memory.max" for directory in _levels(roots, mounts, _V2)]
    files += [f"{directory}/memory.limit_in_bytes" for directory in _levels(roots, mounts, "memory")]
    read = ((file, _number(roots.read(file) or "")) for file in files)
    found = [Limit(number, file) for file, number in read if number and number < _UNLIMITED]
    return min(found, key=lambda limit: limit.value, default=None)


def _levels(roots: Roots, mounts: tuple[Mount, ...], controller: str) -> Iterator[str]:
    """The directories of one controller from the group of this process up to the mounted root.

    A container sees the path of the host in ``/proc/self/cgroup`` but only its own group below the mount: levels that
    are not there have no files and no say.
    """
    path = parse_cgroups(roots.read("/proc/self/cgroup") or "").get(controller)
    if path is None:
        return
    for mount in mounts:
        if _carries(mount, controller):
            inner = path.removeprefix(mount.root) if f"{path}/".startswith(f"{mount.root}/") else path
            parts = [part for part in inner.split("/") if part not in {"", ".", ".."}]
            for depth in range(len(parts), -1, -1):
                yield "/".join([mount.point.rstrip("/"), *parts[:depth]])


def _carries(mount: Mount, controller: str) -> bool:
    if controller == _V2:
        return mount.kind == "cgroup2"
    return mount.kind == "cgroup" and controller in mount.options


def _cpus(quota: str, period: str, source: str) -> list[Limit]:
    """CPU time per period as whole CPUs; ``max`` and -1 are no limit."""
    allowed, of = _number(quota), _number(period)
    return [Limit(-(-allowed // of), source)] if allowed and of else []


def _number(text: str) -> int | None:
    """A positive decimal number, or None."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004


def _plain(text: str) -> str:
    """A path of mountinfo without its octal escapes."""
    if "\\" not in text:
        return text
    import re  # noqa: PLC0415  (hardly any path has a space)

    return re.sub(_OCTAL, lambda match: chr(int(match[1], 8)), text)
