"""Which container, virtual layer or board this is: each runtime by the mark that it leaves itself."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.roots import Roots
    from verl_env.machine.system.cgroup import Mount

# The order matters: Kubernetes runs its pods through runtimes that leave their own marks, and an Apptainer image made
# from a Docker image may still carry that one's file.
_VARIABLES = (
    ("APPTAINER_CONTAINER", "apptainer"),
    ("SINGULARITY_CONTAINER", "singularity"),
    ("CH_RUNNING", "charliecloud"),
    ("SHIFTER_RUNTIME", "shifter"),
    ("KUBERNETES_SERVICE_HOST", "kubernetes"),
)
_FILES = (
    ("/.singularity.d", "apptainer"),
    ("/var/run/secrets/kubernetes.io", "kubernetes"),
    ("/run/.containerenv", "podman"),
    ("/.dockerenv", "docker"),
)
_CGROUPS = {
    "/kubepods": "kubernetes",
    "/docker": "docker",
    "/lxc": "lxc",
    "/libpod": "podman",
    "/machine.slice/libpod": "podman",
}
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST = 32
_TEGRA = r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+(?:\.\d+)*)"


def find_container(
    roots: Roots, environ: Mapping[str, str], mounts: tuple[Mount, ...]
) -> tuple[str | None, str | None]:
    """The kind of container that this process runs in, and what shows it; None for both outside of one."""
    for variable, kind in _VARIABLES:
        if environ.get(variable):
            return kind, f"${variable}"
    if any(mount.point == "/.lock" for mount in mounts):
        return "enroot", "/proc/self/mountinfo (/.lock)"
    for path, kind in _FILES:
        if roots.exists(path):
            return kind, path
    return _declared(roots, environ)


def _declared(roots: Roots, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """What systemd's container interface or the control group says (systemd: CONTAINER_INTERFACE)."""
    for text, source in (
        (roots.read("/run/systemd/container"), "/run/systemd/container"),
        (environ.get("container"), "$container"),
    ):
        name = (text or "").strip()
        if name[:1].isalpha() and _NAME.issuperset(name) and len(name) <= _LONGEST and name != "wsl":
            return name, source
    groups = roots.read("/proc/self/cgroup") or ""
    if found := [mark for mark in _CGROUPS if mark in groups]:
        return _CGROUPS[min(found, key=groups.index)], "/proc/self/cgroup"
    return None, None


def find_wsl(roots: Roots) -> tuple[bool, str]:
    """Whether this is Windows Subsystem for Linux, and what shows it."""
    kernel = "/proc/sys/kernel/osrelease"
    if "microsoft" in (roots.read(kernel) or "").lower():
        return True, kernel
    interop = "/proc/sys/fs/binfmt_misc/WSLInterop"
    return roots.exists(interop), interop if roots.exists(interop) else kernel


def parse_tegra_release(text: str) -> str | None:
    """The Jetson Linux release of ``/etc/nv_tegra_release``, ``"36.4.3"``; None for any other text."""
    import re  # noqa: PLC0415  (only Jetson boards have the file)

    match = re.match(_TEGRA, text)
    return f"{match[1]}.{match[2]}" if match else None
