"""``verl-env facts check``: rows of the hardware tables against the sources that a machine can read.

Four are there: METADATA of torch on the package index, the PCI ID project's ``pci.ids``, NVIDIA's list of data centre
drivers, and AMD's table of amdgpu drivers and ROCm. What the tables do not have yet is a difference too; what cannot be
read is said, and decides nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import Version

from verl_env.locksets.errors import IndexUnreachableError
from verl_env.locksets.web import fetch
from verl_env.locksets.wheelfacts import wheel_facts
from verl_env.machine import tables, wheel_tables
from verl_env.machine.model import UNKNOWN
from verl_env.reading import json_of
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from verl_env.locksets.index import Index

PCI_IDS = "https://pci-ids.ucw.cz/v2.2/pci.ids"
DRIVERS = "https://docs.nvidia.com/datacenter/tesla/drivers/releases.json"
AMDGPU = "https://instinct.docs.amd.com/projects/amdgpu-docs/en/latest/compatibility/compatibility-matrix.html"
#: Where distributions put the list of the PCI ID project.
PLACES = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/usr/share/pci.ids")

_VENDORS = {"10de": "nvidia-pci", "1002": "amd"}
#: Compute cards from Hopper and Instinct MI on: what of them the tables lack is worth a line.
_COMPUTE = re.compile(r"G[HBR]1\d\d [^\n]{0,200}\[|RTX PRO[^\n]{0,200} Server|Instinct MI")
_UNNAMED = re.compile(r"Reserved|NVSwitch|Audio|CNX|DRIVE|MxGPU|V340|GH100-|Skinny|GH3")
_SINCE_TORCH = Version("2.4")


@record
class RowDifference:
    """A row of a table, what it says (None: no row) and what its source says (None: nothing)."""

    table: str
    row: str
    ours: str | None
    theirs: str | None


@record
class SourceAnswer:
    """What one source says: how many rows were compared, where they differ, or why it could not be read."""

    source: str
    compared: int
    differences: tuple[RowDifference, ...]
    unreachable: str | None = None


def check(
    index: Index, pci_ids: str | None = None, drivers: str | None = None, amdgpu: str | None = None
) -> tuple[SourceAnswer, ...]:
    """Every source in turn; ``pci_ids``, ``drivers`` and ``amdgpu`` are files or addresses in the usual ones' place."""
    places = [pci_ids] if pci_ids else [place for place in PLACES if Path(place).is_file()][:1] or [PCI_IDS]
    return (
        _asked("torch on the package index", lambda: _torch(index)),
        _asked(places[0], lambda: _pci(_read(places[0]))),
        _asked(drivers or DRIVERS, lambda: _drivers(_read(drivers or DRIVERS))),
        _asked(amdgpu or AMDGPU, lambda: _amdgpu(_read(amdgpu or AMDGPU))),
    )


def _asked(source: str, compare: Callable[[], tuple[int, list[RowDifference]]]) -> SourceAnswer:
    try:
        compared, found = compare()
    except (IndexUnreachableError, OSError, ValueError) as error:
        return SourceAnswer(source, 0, (), unreachable=str(error))
    return SourceAnswer(source, compared, tuple(found))


def _read(place: str) -> str:
    if place.startswith(("https://", "http://")):
        return fetch(place).content.decode("utf-8", "replace")
    return Path(place).read_text(encoding="utf-8", errors="replace")


def _torch(index: Index) -> tuple[int, list[RowDifference]]:
    """What a plain install of torch takes, row by row; releases of the index that have no row."""
    known = wheel_tables.torch_index_defaults()
    found = [difference for row in known for difference in _torch_row(index, row)]
    releases = {file.release[1] for file in index.files("torch") if file.release and file.is_wheel}
    stated = {Version(row.torch) for row in wheel_tables.torch_releases()}
    for version in sorted(releases):
        minor = Version(f"{version.major}.{version.minor}")
        if minor > _SINCE_TORCH and minor not in stated and not version.is_prerelease:
            found.append(RowDifference("torch", f"release {minor}", None, str(version)))
            stated.add(minor)
    return len(known), found


def _torch_row(index: Index, row: wheel_tables.TorchIndexDefault) -> Iterator[RowDifference]:
    name = f"torch {row.torch} {row.arch}"
    files = index.release("torch", row.torch)
    wheels = [file for file in files if file.name.endswith(f"_{row.arch}.whl") and "manylinux" in file.name]
    if not wheels:
        yield RowDifference("torch", name, row.platform_tag, None)
        return
    theirs = _stated(wheel_facts(wheels[0]).metadata, row.arch)
    for key in ("build", "nccl", "cudnn", "triton"):
        ours = getattr(row, key)
        if ours is not UNKNOWN and theirs.get(key) is not None and ours != theirs[key]:
            yield RowDifference("torch", f"{name} {key}", str(ours), theirs[key])


def _stated(metadata: str, arch: str) -> dict[str, str]:
    """The CUDA build and the versions of NCCL, cuDNN and Triton that METADATA of torch asks for on a machine."""
    found = {"build": "cpu"}
    environment = {"platform_system": "Linux", "platform_machine": arch, "python_version": "3.12"}
    for line in metadata.splitlines():
        if not line.startswith("Requires-Dist: "):
            continue
        requirement = Requirement(line.removeprefix("Requires-Dist: "))
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        exact = next((each.version for each in requirement.specifier if each.operator == "=="), None)
        name = requirement.name
        if exact and (name == "cuda-toolkit" or name.startswith("nvidia-cuda-runtime")):
            found["build"] = "cu" + "".join(exact.split(".")[:2])
        for key in ("nccl", "cudnn"):
            if exact and name.startswith(f"nvidia-{key}-cu"):
                found[key] = exact
        if exact and name == "triton":
            found["triton"] = exact
    return found


def _pci(text: str) -> tuple[int, list[RowDifference]]:
    """Names by vendor and id: ours must share a word with theirs; theirs of compute cards must be known."""
    theirs = dict(_devices(text))
    if not theirs:
        raise ValueError("it names no device of NVIDIA or AMD: is it a pci.ids?")
    ours = {("10de", row.id): row.names for row in tables.nvidia_pci_ids().values()}
    ours |= {("1002", row.id): (row.name,) for row in tables.amd_pci_ids().values()}
    found = []
    for key, names in ours.items():
        said = theirs.get(key)
        if said is not None and not any(_alike(name, said) for name in names):
            found.append(RowDifference(_VENDORS[key[0]], key[1], ", ".join(names), said))
    found += [
        RowDifference(_VENDORS[vendor], device, None, name)
        for (vendor, device), name in theirs.items()
        if (vendor, device) not in ours and _COMPUTE.search(name) and not _UNNAMED.search(name)
    ]
    return len(ours.keys() & theirs.keys()), found


def _devices(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    vendor = ""
    for line in text.splitlines():
        if match := re.match(r"([0-9a-f]{4})  ", line):
            vendor = match[1]
        elif vendor in _VENDORS and (match := re.match(r"\t([0-9a-f]{4})  (.*)", line)):
            yield (vendor, match[1]), match[2]


def _alike(ours: str, theirs: str) -> bool:
    """Whether two names share a word that tells products apart, one with a digit where there is one (H100, H100L)."""
    return any(one.startswith(other) or other.startswith(one) for one in _words(ours) for other in _words(theirs))


def _words(name: str) -> set[str]:
    words = set(re.findall(r"[a-z0-9]+", name.partition("[")[2].lower() or name.lower())) - {"nvidia", "amd"}
    return {word for word in words if re.search(r"\d", word)} or words


def _drivers(text: str) -> tuple[int, list[RowDifference]]:
    """Every branch of NVIDIA's list from 450 on must have a row, and those marked as long-term be so here."""
    branches = json_of(text)
    if not isinstance(branches, dict):
        raise ValueError("it is no list of driver branches")  # noqa: TRY004  what a file holds, not a type of ours
    ours = {row.branch: row for row in tables.driver_branches()}
    found = []
    for name, entry in branches.items():
        branch = int(name) if str(name).isdigit() else 0
        kind = _kind(str(entry.get("type", "")) if isinstance(entry, dict) else "")
        if branch not in ours and branch > max(ours, default=0):
            found.append(RowDifference("nvidia-drivers", f"branch {branch}", None, kind))
        elif branch in ours and kind and kind != ours[branch].kind:
            found.append(RowDifference("nvidia-drivers", f"branch {branch}", ours[branch].kind, kind))
    return len(ours.keys() & {int(name) for name in branches if str(name).isdigit()}), found


def _amdgpu(text: str) -> tuple[int, list[RowDifference]]:
    """AMD's table, as its page or its source has it: a series of the driver, then the releases of ROCm."""
    cells = re.sub(r"<[^>]{0,300}>", " ", text)
    rows = re.findall(r"(\d+\.\d+)\.x\W{1,200}?(\d+\.\d+\.\w+(?:, \d+\.\d+\.\w+)+)", cells)
    theirs = {series: {rocm.rpartition(".")[0] for rocm in found.split(", ")} for series, found in rows}
    if not theirs:
        raise ValueError("it has no table of amdgpu drivers and ROCm")
    ours = {row.series: set(row.rocm) for row in tables.kernel_drivers()}
    oldest = min(map(Version, ours))
    return len(ours.keys() & theirs.keys()), [
        RowDifference("amd", f"amdgpu {series}", _listed(ours.get(series)), _listed(rocm))
        for series, rocm in theirs.items()
        if ours.get(series) != rocm and Version(series) >= oldest
    ]


def _listed(releases: set[str] | None) -> str | None:
    return ", ".join(sorted(releases, key=Version)) if releases else None


def _kind(text: str) -> str | None:
    lower = text.lower()
    words = {"lts": "long-term", "long": "long-term", "prod": "production", "new": "new-feature", "nfb": "new-feature"}
    return next((kind for word, kind in words.items() if word in lower), None)
