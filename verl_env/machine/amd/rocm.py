"""ROCm's user space and the amdgpu kernel driver, from files alone."""

from __future__ import annotations

from verl_env.machine.plain import release
from verl_env.records import record
from verl_env.versions import dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.roots import Roots

#: The kernel driver that comes with the kernel itself: it has no version of its own.
IN_TREE = "in-tree"

MODULE = "/sys/module/amdgpu"

_DEFINE = r"(?m)^#define\s+ROCM_VERSION_(MAJOR|MINOR|PATCH)\s+(\d+)"
_HEADERS = ("include/rocm-core/rocm_version.h", "include/rocm_version.h")
#: Where a release puts itself below its prefix; ``core`` is ROCm Core SDK (7.9 and later).
_PREFIXES = ("", "/core")


@record
class Rocm:
    """One installation of ROCm's user space, and the file that states its version."""

    version: str
    prefix: str
    source: str


@record
class RocmFound:
    """The installation that counts, and the other versions that are there too."""

    chosen: Rocm | None
    others: tuple[Rocm, ...]


def parse_rocm_version(text: str) -> str | None:
    """The version of ``.info/version``: ``6.2.0-66`` and ``7.13.0-123-gfx942;gfx950`` without what follows it."""
    version = text.strip().partition("-")[0].partition("+")[0]
    return version if release(version, 2, 3) else None


def parse_rocm_header(text: str) -> str | None:
    """The version that ``rocm_version.h`` defines."""
    if "ROCM_VERSION_" not in text:
        return None
    import re  # noqa: PLC0415  (no such file on most hosts)

    parts = {match[1]: match[2] for match in re.finditer(_DEFINE, text)}
    return f"{parts['MAJOR']}.{parts['MINOR']}.{parts['PATCH']}" if len(parts) == 3 else None  # noqa: PLR2004


def find_rocm(roots: Roots, environ: Mapping[str, str]) -> RocmFound:
    """ROCm as ``$ROCM_PATH`` names it, else ``/opt/rocm``, else the newest ``/opt/rocm-*``; the others beside it."""
    named = [path.rstrip("/") for path in (environ.get("ROCM_PATH", ""), "/opt/rocm") if path.startswith("/")]
    beside = [f"/opt/{name}" for name in roots.names("/opt") if _is_installed(name)]
    beside += [f"/opt/rocm/{name}" for name in roots.names("/opt/rocm") if _is_installed(name)]
    first = [rocm for path in named if (rocm := _installation(roots, path))]
    rest = [rocm for path in beside if (rocm := _installation(roots, path))]
    found = first + sorted(rest, key=lambda rocm: dotted(rocm.version), reverse=True)
    if not found:
        return RocmFound(None, ())
    versions: dict[str, Rocm] = {}
    for rocm in found:
        versions.setdefault(rocm.version, rocm)
    chosen, *others = versions.values()
    return RocmFound(chosen, tuple(others))


def find_driver(roots: Roots) -> tuple[str | None, str]:
    """The version of the loaded amdgpu driver (``IN_TREE`` where it has none), None when it is not loaded."""
    path = f"{MODULE}/version"
    version = (roots.read(path) or "").strip()
    if version:
        return version, path
    return (IN_TREE, MODULE) if roots.exists(MODULE) else (None, MODULE)


def _is_installed(name: str) -> bool:
    """Whether a directory is called ``rocm-6.2.0`` or ``core-7.13``."""
    kind, _, version = name.partition("-")
    return kind in {"rocm", "core"} and release(version, 2, 3)


def _installation(roots: Roots, prefix: str) -> Rocm | None:
    """The ROCm below a prefix, or None."""
    for inner in (f"{prefix}{suffix}" for suffix in _PREFIXES):
        path = f"{inner}/.info/version"
        if version := parse_rocm_version(roots.read(path) or ""):
            return Rocm(version, inner, path)
        for path in (f"{inner}/{header}" for header in _HEADERS):
            if version := parse_rocm_header(roots.read(path) or ""):
                return Rocm(version, inner, path)
    return None
