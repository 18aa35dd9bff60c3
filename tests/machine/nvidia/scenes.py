"""Machines made of files: a kernel tree, an NVML that plays a scenario, a script for nvidia-smi."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.machine.child import Children
from verl_env.machine.nvidia.nvml import MODULE
from verl_env.machine.nvidia.probe import NvidiaProbe
from verl_env.machine.roots import Roots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.machine.nvidia.join import NvidiaReport

FIXTURES = Path(__file__).parents[1] / "fixtures/nvidia"
NO_NVML = FIXTURES / "no_nvml.py"
CAPTURES = Path(__file__).parents[3].parent / "shared/facts/captures"

OPEN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {0}  Release Build  (builder@host)\nGCC version:  gcc\n"
)
PROPRIETARY = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {0}  Sun May 12 19:39:15 UTC 2024\nGCC version:  gcc 12\n"
)


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def add_pci(
    root: Path, address: str, device: str, *, kind: str = "0x030200", vendor: str = "0x10de", bound: str = ""
) -> None:
    directory = f"sys/bus/pci/devices/{address}"
    for name, value in (("vendor", vendor), ("device", f"0x{device}"), ("class", kind)):
        write(root, f"{directory}/{name}", f"{value}\n")
    if bound:
        (root / directory / "driver").symlink_to(f"../../../../bus/pci/drivers/{bound}")


def tree(
    root: Path,
    *,
    driver: str = "",
    proc: str = "",
    nodes: int = 0,
    gpus: Sequence[str] = (),
    switches: int = 0,
    bound: str = "",
    wsl: bool = False,
) -> Roots:
    """The kernel's files of a machine; ``gpus`` are PCI device ids."""
    root.mkdir(parents=True, exist_ok=True)
    if driver:
        write(root, "sys/module/nvidia/version", f"{driver}\n")
    if proc:
        write(root, "proc/driver/nvidia/version", proc.format(driver))
    for number in range(nodes):
        write(root, f"dev/nvidia{number}", "")
    for number, device in enumerate(gpus):
        add_pci(root, f"0000:{number + 16:02x}:00.0", device, bound=bound)
    for number in range(switches):
        add_pci(root, f"0000:{number + 128:02x}:00.0", "1af1", kind="0x068000")
    if wsl:
        write(root, "dev/dxg", "")
    return Roots(root)


def gpu(number: int = 0, **changes: Any) -> dict[str, Any]:
    """One GPU of a scenario: an H200, unless changed; a value of None leaves the call out."""
    facts: dict[str, Any] = {
        "name": "NVIDIA H200",
        "uuid": f"GPU-0000000{number}-1111-2222-3333-444444444444",
        "cc": [9, 0],
        "memory": 143771 << 20,
        "mode": 0,
        "bus": f"00000000:{number + 16:02X}:00.0",
        "device_id": 0x233510DE,
        "mig": 0,
        **changes,
    }
    return {key: value for key, value in facts.items() if value is not None}


def part(number: int, gib: int) -> dict[str, Any]:
    return {
        "name": f"NVIDIA H200 MIG {number}g.{gib}gb",
        "uuid": f"MIG-0000000{number}-1111-2222-3333-444444444444",
        "memory": gib << 30,
    }


def scenario(*gpus: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "init": 0,
        "driver": "580.65.06",
        "nvml": "13.580.65.06",
        "cuda_v2": 13000,
        "cuda": 13000,
        "devices": list(gpus),
        **changes,
    }


def nvml(directory: Path, scene: Mapping[str, Any]) -> Path:
    """A program for the child that plays a scenario."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(FIXTURES / "fake_nvml.py", directory)
    (directory / "scenario.json").write_text(json.dumps({"child": MODULE, **scene}))
    return directory / "fake_nvml.py"


def smi(root: Path, body: str) -> None:
    """An ``nvidia-smi`` of the tree, a shell script."""
    write(root, "usr/bin/nvidia-smi", f"#!/bin/sh\n{body}\n")
    (root / "usr/bin/nvidia-smi").chmod(0o755)


def smi_printing(root: Path, *, xml: str = "", csv: str = "", listed: str = "", code: int = 0) -> None:
    """An ``nvidia-smi`` that prints fixtures, one for each of its forms."""
    shown = {"-q": xml, "--query-gpu*": csv, "-L": listed}
    cases = " ".join(f"{form}) cat {FIXTURES / name} ;;" for form, name in shown.items() if name)
    smi(root, f'case "$1" in {cases or "none) ;;"} esac\nexit {code}')


def probe(
    roots: Roots,
    module: Path = NO_NVML,
    *,
    environ: Mapping[str, str] | None = None,
    seconds: float = 30.0,
) -> NvidiaReport:
    env = {"PATH": "/usr/bin:/bin", **(environ or {})}
    with Children(deadline=time.monotonic() + seconds) as children:
        return NvidiaProbe(children, roots, env, module=module).report()


def ids(report: NvidiaReport) -> list[str]:
    return [problem.id for problem in report.problems]
