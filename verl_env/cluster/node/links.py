"""The fabric of a node: InfiniBand and RoCE ports as the kernel shows them (its ABI ``sysfs-class-infiniband``)."""

from __future__ import annotations

from pathlib import Path


def ports(root: str = "/") -> dict[str, str] | None:
    """Each port with its state, rate and layer, such as ``mlx5_0/1: ACTIVE, 400 Gb/sec (4X NDR), InfiniBand``.

    Returns:
        None where the kernel has no such class: no driver is loaded.
    """
    base = Path(root) / "sys/class/infiniband"
    if not base.is_dir():
        return None
    found = {}
    for port in sorted(base.glob("*/ports/*")):
        state = _text(port / "state").partition(": ")[2] or "unknown"
        words = filter(None, (state, _text(port / "rate"), _text(port / "link_layer")))
        found[f"{port.parents[1].name}/{port.name}"] = ", ".join(words)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
