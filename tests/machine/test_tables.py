"""Every row of the hardware tables is well formed, sourced and unique, and the tables answer what they are asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from verl_env.constraints import parse_toml
from verl_env.machine import tables, wheel_tables
from verl_env.machine.model import UNKNOWN
from verl_env.versions import at_least, dotted, is_dotted

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(tables.DATA)
FILES = sorted(path.stem for path in FOLDER.glob("*.toml"))

DOTTED = r"\d+(\.\d+)+"
CAPABILITY = r"\d{1,2}\.\d"
GFX = r"gfx\d{1,2}[0-9a-f]{2}"
PCI = r"[0-9a-f]{4}"
ARCH = r"x86_64|aarch64"
SLUG = r"[a-z0-9]+(-[a-z0-9]+)*"
TEXT = r".*\S"
BUILD = r"cu\d{3}|cpu"


def specifier(text: str) -> bool:
    return bool(SpecifierSet(text))


# key: a pattern for strings, [pattern] for arrays of strings, a type otherwise; a trailing "?" marks an optional key
SCHEMA: dict[tuple[str, str], tuple[dict[str, Any], tuple[str, ...]]] = {
    ("gpus", "nvidia"): (
        {
            "name": SLUG,
            "aliases?": [SLUG],
            "product": TEXT,
            "compute_capability": CAPABILITY,
            "memory_mib?": int,
            "arch?": ARCH,
        },
        ("name",),
    ),
    ("gpus", "amd"): (
        {"name": SLUG, "aliases?": [SLUG], "product": TEXT, "gfx": GFX, "memory_mib?": int},
        ("name",),
    ),
    ("nvidia-pci", "gpu"): (
        {"id": PCI, "names": [TEXT], "compute_capability": CAPABILITY, "basis": r"listed|chip family"},
        ("id",),
    ),
    ("nvidia-drivers", "toolkit"): ({"cuda": DOTTED, "driver?": DOTTED}, ("cuda",)),
    ("nvidia-drivers", "minor_version"): ({"cuda_major": int, "driver": r"\d+(\.\d+)*"}, ("cuda_major",)),
    ("nvidia-drivers", "branch"): (
        {
            "branch": int,
            "kind": r"long-term|production|new-feature",
            "end_of_life": r"20\d\d-(0[1-9]|1[0-2])",
            "cuda_major": int,
        },
        ("branch",),
    ),
    ("nvidia-drivers", "report"): ({"driver": DOTTED, "cuda": r"\d+\.\d", "seen_on": TEXT}, ("driver",)),
    ("nvidia-drivers", "capability"): (
        {
            "compute_capability": CAPABILITY,
            "architecture": TEXT,
            "cuda": DOTTED,
            "driver": r"\d{3}",
            "own_code?": bool,
        },
        ("compute_capability",),
    ),
    ("amd", "gfx"): (
        {
            "gfx": GFX,
            "products": [TEXT],
            "status": r"supported|deprecated|unsupported|pre-release",
            "rocm_min?": DOTTED,
            "kfd": int,
            "kfd_basis": r"observed|reported|rule",
        },
        ("gfx",),
    ),
    ("amd", "pci"): ({"id": PCI, "name": TEXT, "gfx": GFX}, ("id",)),
    ("amd", "rocm"): ({"rocm": DOTTED, "date": r"20\d\d-\d\d-\d\d", "stream": r"classic|TheRock"}, ("rocm",)),
    ("amd", "kernel_driver"): ({"series": DOTTED, "module?": DOTTED, "rocm": [DOTTED]}, ("series",)),
    ("amd", "torch_index"): ({"rocm": DOTTED, "gfx": [GFX]}, ("rocm",)),
    ("torch", "release"): (
        {
            "torch": DOTTED,
            "python_min?": DOTTED,
            "python_max?": DOTTED,
            "cuda": [DOTTED],
            "cuda_experimental": [DOTTED],
            "rocm?": DOTTED,
        },
        ("torch",),
    ),
    ("torch", "wheel"): (
        {"torch": [DOTTED], "cuda": BUILD, "arch": ARCH, "sm": [CAPABILITY], "ptx?": bool, "basis": TEXT},
        ("torch", "cuda", "arch"),
    ),
    ("torch", "index_default"): (
        {
            "torch": DOTTED,
            "arch": ARCH,
            "platform_tag": r"manylinux\w+",
            "build": BUILD,
            "inferred?": bool,
            "nccl?": DOTTED,
            "cudnn?": DOTTED,
            "triton?": DOTTED,
            "cxx11abi?": bool,
        },
        ("torch", "arch"),
    ),
    ("torch", "cxx11abi"): (
        {"torch": specifier, "builds?": [r"pypi|" + BUILD], "cxx11abi": bool},
        ("torch", "builds"),
    ),
    ("components", "minimum"): (
        {
            "component": SLUG,
            "versions?": specifier,
            "cuda?": specifier,
            "minimum?": CAPABILITY,
            "gfx?": GFX,
            "note?": TEXT,
        },
        ("component", "versions", "cuda", "gfx"),
    ),
    ("components", "engine_build"): (
        {"package": SLUG, "version": DOTTED, "cuda": DOTTED},
        ("package", "version", "cuda"),
    ),
    ("components", "glibc"): (
        {
            "package": SLUG,
            "versions?": specifier,
            "arch?": [ARCH],
            "platform_tag?": r"manylinux\w+|linux_\w+|py3-none-any",
            "glibc?": DOTTED,
            "basis?": r"measured|tag|documented|reported|pure",
            "note?": TEXT,
        },
        ("package", "versions", "arch"),
    ),
    ("distros", "distro"): (
        {"os": r"[A-Za-z]+(-[a-z]+)?", "version": r"\d+(\.\d+)*", "glibc": DOTTED, "basis": TEXT},
        ("os", "version"),
    ),
}


def fits(value: Any, rule: Any) -> bool:
    if isinstance(rule, str):
        return isinstance(value, str) and re.fullmatch(rule, value) is not None
    if isinstance(rule, list):
        return isinstance(value, list) and all(fits(item, rule[0]) for item in value)
    if isinstance(rule, type):
        return type(value) is rule
    return isinstance(value, str) and bool(rule(value))


@pytest.mark.parametrize(("file", "table"), SCHEMA, ids=[f"{file}-{table}" for file, table in SCHEMA])
def test_every_row_has_the_keys_and_forms_of_its_table(file: str, table: str) -> None:
    rules, unique = SCHEMA[file, table]
    required = {key for key in rules if not key.endswith("?")} | {"src"}
    forms = {key.rstrip("?"): rule for key, rule in rules.items()} | {"src": [TEXT]}
    seen = set()
    rows = tables.read_table_file(file)[table]
    assert rows
    for row in rows:
        assert required <= row.keys() <= forms.keys(), row
        assert {key: value for key, value in row.items() if not fits(value, forms[key])} == {}, row
        identity = str([row.get(key) for key in unique])
        assert identity not in seen, f"twice: {identity}"
        seen.add(identity)


def test_every_table_has_a_schema() -> None:
    found = {(file, table) for file in FILES for table in tables.read_table_file(file)}
    assert found == set(SCHEMA)


@pytest.mark.parametrize("file", FILES)
def test_every_source_is_named_and_every_name_is_used(file: str) -> None:
    data = parse_toml(FOLDER / f"{file}.toml")
    assert data["schema"] == 1
    rows = [row for rows in data.values() if isinstance(rows, list) for row in rows]
    assert all(row["src"] for row in rows)
    assert {key for row in rows for key in row["src"]} == set(data["sources"])
    assert all(text.strip() for text in data["sources"].values())


def test_no_two_names_of_gpus_are_the_same() -> None:
    names = [
        re.sub(r"[^a-z0-9]", "", name) for gpu in tables.gpu_names() for name in dict.fromkeys((gpu.name, *gpu.aliases))
    ]
    assert len(names) == len(set(names))


def test_a_gpu_is_of_one_vendor() -> None:
    assert all((gpu.compute_capability is None) != (gpu.gfx is None) for gpu in tables.gpu_names())


def test_amd_names_are_of_known_targets() -> None:
    products = {gpu.product.removeprefix("AMD ").removeprefix("Instinct "): gpu.gfx for gpu in tables.gpu_names()}
    for row in tables.amd_gfx().values():
        for product in row.products:
            if product in products:
                assert products[product] == row.gfx
    assert {gpu.gfx for gpu in tables.gpu_names() if gpu.gfx} <= set(tables.amd_gfx())


def test_kfd_values_follow_the_encoding() -> None:
    for row in tables.amd_gfx().values():
        major, minor, step = row.kfd // 10000 % 100, row.kfd // 100 % 100, row.kfd % 100
        assert row.gfx == f"gfx{major}{minor:x}{step:x}"


def test_minor_versions_come_before_toolkits() -> None:
    """The driver of minor-version compatibility is never above the toolkit driver of the same major."""
    for row in tables.toolkits():
        if row.driver is not UNKNOWN:
            assert at_least(row.driver, tables.minor_version_drivers()[dotted(row.cuda)[0]].driver)


def test_newer_toolkits_ask_for_newer_drivers() -> None:
    known = sorted((dotted(row.cuda), dotted(row.driver)) for row in tables.toolkits() if row.driver is not UNKNOWN)
    assert [driver for _, driver in known] == sorted(driver for _, driver in known)


def test_reports_agree_with_the_toolkits_of_their_branch() -> None:
    for row in tables.driver_reports():
        assert tables.cuda_of_driver(row.driver) == row.cuda


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("525.60.13", "12.0"),
        ("535.288.01", "12.2"),
        ("550.54.14", "12.4"),
        ("550.54.15", "12.4"),
        ("570.86.15", "12.8"),
        ("575.64.03", "12.9"),
        ("580.65.06", "13.0"),
        ("590.44.01", "13.1"),
        ("590.48.01", "13.1"),
        ("595.99", "13.2"),
        ("610.99.01", "13.3"),
        ("615.71.09", "13.4"),
        ("620.70.06", "13.5"),
        ("620", "13.5"),
        ("550.40.07", UNKNOWN),  # older than every row of its branch
        ("565.57.01", UNKNOWN),  # a branch that the tables do not hold
        ("470.256.02", UNKNOWN),
        ("550", "12.4"),
        ("535", "12.2"),
        ("580", "13.0"),
        ("565", UNKNOWN),
        ("999", UNKNOWN),
    ],
)
def test_the_cuda_version_of_a_driver(driver: str, cuda: object) -> None:
    assert tables.cuda_of_driver(driver) == cuda


@pytest.mark.parametrize("driver", ["", "abc", "550.", "550.54.15-open"])
def test_the_cuda_version_of_nonsense(driver: str) -> None:
    with pytest.raises(ValueError):
        tables.cuda_of_driver(driver)


@pytest.mark.parametrize(
    ("os", "version", "glibc"),
    [
        ("rhel", "8.10", "2.28"),
        ("rocky", "9.4", "2.34"),
        ("ubuntu", "22.04", "2.35"),
        ("ubuntu", "22", UNKNOWN),
        ("centos", "7", "2.17"),
        ("sles", "15.6", "2.38"),
        ("sles", "15.7", UNKNOWN),
        ("alpine", "3.20", UNKNOWN),
    ],
)
def test_the_glibc_of_a_distribution(os: str, version: str, glibc: object) -> None:
    assert tables.glibc_of_distro(os, version) == glibc


@pytest.mark.parametrize(
    ("device", "capability"), [("2335", "9.0"), ("20b2", "8.0"), ("1eb8", "7.5"), ("2901", "10.0"), ("2e12", "12.1")]
)
def test_the_capability_of_a_pci_id(device: str, capability: str) -> None:
    assert tables.nvidia_pci_ids()[device].compute_capability == capability


def test_every_gpu_has_a_least_driver_and_no_toolkit_before_it() -> None:
    """The branch that first knew a GPU is never newer than that of a CUDA release after the one that knew it."""
    known = tables.capabilities()
    jetsons = {"7.2", "8.7"}
    old = {"6.0", "6.1"}
    named = {gpu.compute_capability for gpu in tables.gpu_names() if gpu.compute_capability} - jetsons - old
    listed = {row.compute_capability for row in tables.nvidia_pci_ids().values()}
    assert named | listed <= known.keys()
    for row in known.values():
        for toolkit in tables.toolkits():
            if toolkit.driver is not UNKNOWN and dotted(toolkit.cuda)[:2] >= dotted(row.cuda):
                assert at_least(str(toolkit.driver), row.driver), (row, toolkit)


def test_torch_wheels_are_of_released_builds() -> None:
    released = {row.torch: {*row.cuda, *row.cuda_experimental} for row in wheel_tables.torch_releases()}
    for wheel in wheel_tables.torch_wheels():
        version = f"{wheel.cuda[2:4]}.{wheel.cuda[4:]}"
        assert all(version in released[torch] for torch in wheel.torch), wheel


def test_targets_of_a_wheel_are_in_order() -> None:
    for wheel in wheel_tables.torch_wheels():
        assert list(wheel.sm) == sorted(wheel.sm, key=dotted)


@pytest.mark.parametrize(
    ("torch", "cuda", "has", "lacks"),
    [
        ("2.6", "cu124", "7.0", "10.0"),
        ("2.8", "cu128", "7.0", "6.0"),
        ("2.11", "cu128", "12.0", "7.0"),
        ("2.11", "cu130", "7.5", "7.0"),
    ],
)
def test_what_a_torch_wheel_carries(torch: str, cuda: str, has: str, lacks: str) -> None:
    (wheel,) = (
        row for row in wheel_tables.torch_wheels() if torch in row.torch and (row.cuda, row.arch) == (cuda, "x86_64")
    )
    assert has in wheel.sm
    assert lacks not in wheel.sm


@pytest.mark.parametrize(
    ("torch", "build", "abi"),
    [("2.5.1", "cu124", False), ("2.6.0", "cu124", False), ("2.6.0", "cu126", True), ("2.7.1", "cu118", True)],
)
def test_the_abi_of_a_torch_build(torch: str, build: str, abi: bool) -> None:
    rows = [
        row
        for row in wheel_tables.torch_abis()
        if Version(torch) in SpecifierSet(row.torch) and (not row.builds or build in row.builds)
    ]
    assert [row.cxx11abi for row in rows] == [abi]


def test_no_measured_glibc_without_a_number() -> None:
    for row in wheel_tables.wheel_glibcs():
        assert (row.glibc is UNKNOWN) == (row.basis in {UNKNOWN, "pure"}), row


def test_flash_attention_needs_ampere() -> None:
    found = {row.minimum for row in wheel_tables.minima() if row.component == "flash-attn" and row.gfx is UNKNOWN}
    assert found == {"8.0"}


LOADERS: list[Callable[[], Any]] = [
    tables.gpu_names,
    tables.nvidia_pci_ids,
    tables.toolkits,
    tables.minor_version_drivers,
    tables.driver_branches,
    tables.driver_reports,
    tables.capabilities,
    tables.amd_gfx,
    tables.amd_pci_ids,
    tables.rocm_releases,
    tables.kernel_drivers,
    tables.torch_rocm_indices,
    tables.distro_glibcs,
    wheel_tables.torch_releases,
    wheel_tables.torch_wheels,
    wheel_tables.torch_index_defaults,
    wheel_tables.torch_abis,
    wheel_tables.minima,
    wheel_tables.engine_builds,
    wheel_tables.wheel_glibcs,
]


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.__name__)
def test_every_table_loads_into_rows_once(loader: Callable[[], Any]) -> None:
    rows = loader()
    assert rows
    assert loader() is rows
    for row in rows.values() if isinstance(rows, dict) else rows:
        hash(row)


def test_the_loaders_cover_every_table() -> None:
    total = sum(len(tables.read_table_file(file)[table]) for file, table in SCHEMA)
    assert sum(len(loader()) for loader in LOADERS) == total


def test_a_key_left_out_is_unknown() -> None:
    unpublished = next(row for row in tables.toolkits() if row.cuda == "13.4.2")
    assert unpublished.driver is UNKNOWN
    assert any(gpu.memory_mib is UNKNOWN for gpu in tables.gpu_names())


def test_the_facts_that_the_tables_were_made_from_agree() -> None:
    path = Path(__file__).parents[2].parent / "shared/facts/hardware-facts.toml"
    if not path.is_file():
        pytest.skip("the collection of facts is not beside this checkout")
    facts = parse_toml(path)
    for row in facts["nvidia_pci_id"]:
        assert tables.nvidia_pci_ids()[row["id"].lower()].compute_capability == row["compute_capability"]
    documented = {row.series: row.rocm for row in tables.kernel_drivers()}
    for row in facts["rocm_kmd_compat_list"]:
        series = row["kernel_driver"].removeprefix("amdgpu ").rpartition(".")[0]
        assert set(row["user_space"]) <= set(documented[series])
    for row in facts["rocm_kmd_compat"]:
        found = documented[row["kernel_driver"]]
        assert {row["user_space_min"], row["user_space_max"]} <= set(found)
    full = {row["linux_driver_full"] for row in facts["cuda_toolkit"] if is_dotted(row["linux_driver_full"])}
    assert full <= {row.driver for row in tables.toolkits() if row.driver is not UNKNOWN}
    assert len(facts["torch_wheel_arch"]) == len(wheel_tables.torch_wheels())
    for fact, row in zip(facts["torch_wheel_arch"], wheel_tables.torch_wheels(), strict=True):
        assert (tuple(fact["torch"]), fact["cuda"], tuple(fact["sm"])) == (row.torch, row.cuda, row.sm)
