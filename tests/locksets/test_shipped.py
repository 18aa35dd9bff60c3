"""What the locksets of this project hold, whatever recipe they come from."""

from __future__ import annotations

import functools
import re

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.each import each
from verl_env.constraints import constraints_directory
from verl_env.locksets.catalogue import load_catalogue
from verl_env.locksets.load import load_packages, lock_parts, parse_packages
from verl_env.locksets.locking import check_offline
from verl_env.versions import at_least

ROOT = constraints_directory()
LOCKSETS = load_catalogue(ROOT)
LOCKS = [(lockset, lock) for lockset in LOCKSETS for lock in lockset.pythons]
EACH = each("lockset", LOCKSETS, lambda lockset: lockset.id)
EACH_LOCK = each(("lockset", "lock"), LOCKS, lambda row: f"{row[0].id} on Python {row[1].python}")


@functools.cache
def packages_of(lockset, lock):
    return {package.name: package for package in load_packages(ROOT / lockset, lock)}


def test_the_files_agree_with_each_other():
    assert {outcome.id: outcome.differences for outcome in check_offline(ROOT) if outcome.differences} == {}


def test_the_first_four_are_there():
    variants = {lockset.id.split("/")[1] for lockset in LOCKSETS if lockset.tier in {"installed", "proven"}}
    assert variants >= {"app.vllm.mcore0.12", "app.sglang.vllm.mcore0.12", "ngc.vllm0.8", "ngc.vllm0.8.sagemaker"}


@EACH_LOCK
def test_a_lock_holds_what_its_lockset_says(lockset, lock):
    packages = packages_of(lockset.id, lock)
    torch = packages["torch"]
    assert (torch.version if torch.url else torch.version.split("+")[0]) == lockset.torch
    assert packages["verl"].version == lockset.verl
    built = {native.name for native in lockset.natives}
    engines = {name: version for name, version in lockset.engines.items() if name not in built}
    assert {name: packages[name].version for name in engines} == engines
    assert len(packages) == lock.packages
    assert sum(package.download_bytes or 0 for package in packages.values()) == lock.download_bytes
    assert sum(package.disk_bytes or 0 for package in packages.values()) == lock.disk_bytes


@EACH_LOCK
def test_a_lock_is_in_order_and_every_package_has_hashes(lockset, lock):
    """But what only an address has and nobody published a digest of."""
    packages = packages_of(lockset.id, lock)
    assert list(packages) == sorted(packages)
    assert all(package.hashes for package in packages.values() if package.url is None)
    assert all(list(package.hashes) == sorted(set(package.hashes)) for package in packages.values())


@EACH_LOCK
def test_no_lock_names_an_index(lockset, lock):
    """Nor an address of it: only what it does not hold carries one, of a file or of another index."""
    text = b"".join(lock_parts(ROOT / lockset.id, lock.file).values()).decode()
    for line in text.splitlines():
        elsewhere = r"[a-z0-9-]+ @ https://|    # (wheel|sdist); index https://(?!pypi|files\.pythonhosted)"
        assert "://" not in line or re.match(elsewhere, line), line
    assert "--index-url" not in text


@EACH
def test_what_several_pythons_take_alike_is_written_once(lockset):
    texts = {file.name: file.read_bytes() for file in (ROOT / lockset.id).glob("py*.txt")}
    entries = [each for name, text in texts.items() for each in parse_packages(text.decode(), name)]
    assert len(entries) == len(set(entries))
    named = {each for lock in lockset.pythons for each in lock_parts(ROOT / lockset.id, lock.file)}
    assert named == texts.keys()


@EACH_LOCK
def test_unmet_requirements_are_about_what_is_locked(lockset, lock):
    packages = packages_of(lockset.id, lock)
    for unmet in lock.unmet:
        assert unmet.package in packages
        name = re.match(r"[a-z0-9-]+", unmet.requires).group()
        there = packages[name].version if name in packages else "absent"
        assert there == unmet.installed
        wanted = SpecifierSet(unmet.requires[len(name) :])
        assert there == "absent" or not wanted.contains(there, prereleases=True)


OLD_TORCH = [row for row in LOCKS if at_least("2.6", ".".join(row[0].torch.split(".")[:2]))]


@each(("lockset", "lock"), OLD_TORCH)
def test_stacks_of_the_time_of_torch_2_6_have_pkg_resources(lockset, lock):
    packages = packages_of(lockset.id, lock)
    assert SpecifierSet("<81").contains(packages["setuptools"].version)


@EACH
def test_needs_have_sources(lockset):
    requires = lockset.requires
    assert len(requires.arch) == 1
    assert all(need.source and (need.targets or need.minimum) for need in requires.gpu)
    assert requires.glibc is None or requires.glibc.source
    if lockset.tier == "installed":
        assert requires.glibc is not None, "an installed lockset can be measured"
    if lockset.accelerator == "cuda" and lockset.pythons:
        assert requires.driver is not None
        assert at_least(requires.driver.toolkit or requires.driver.minimum, requires.driver.minimum)


@EACH
def test_checks_are_python(lockset):
    for check in lockset.checks:
        compile(check.code, check.id, "exec")
    if lockset.pythons:
        assert {"torch", "verl", "tokenizer"} <= {check.id for check in lockset.checks}


@EACH
def test_native_components_have_canonical_names(lockset):
    for native in lockset.natives:
        assert canonicalize_name(native.name) == native.name


SEVEN = {
    ("opencv-python", "numpy"),
    ("opencv-python-headless", "numpy"),
    ("torch", "nvidia-cudnn-cu12"),
    ("vllm", "opentelemetry-api"),
    ("vllm", "opentelemetry-sdk"),
    ("opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-sdk"),
    ("opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk"),
}


@pytest.mark.parametrize("variant", ["app.sglang.vllm.mcore0.12", "app.vllm.mcore0.12"])
def test_verl_0_4_leaves_exactly_seven_requirements_unmet(variant):
    (lockset,) = (lockset for lockset in LOCKSETS if lockset.id.endswith(f"/{variant}"))
    for lock in lockset.pythons:
        found = {(unmet.package, re.match(r"[a-z0-9-]+", unmet.requires).group()) for unmet in lock.unmet}
        assert found == SEVEN
        assert len(lock.unmet) == 7
