"""The C library, the C++ library and other libraries of the operating system."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.loader import lost_libraries
from verl_env.doctor.facts import specifiers
from verl_env.doctor.model import Check, Hit, Remedy
from verl_env.versions import at_least, dotted, is_dotted

if TYPE_CHECKING:
    from collections.abc import Callable

    from verl_env.doctor.facts import Facts

_SHOWN = 5


def _needed_glibc(facts: Facts) -> list[tuple[str, str]]:
    """The highest glibc that each object needs, with its path, highest first."""
    found = []
    for shared in facts.target.objects if facts.target else ():
        names = [name for _, versions in shared.elf.versions for name in versions] if shared.elf else []
        numbers = [name.removeprefix("GLIBC_") for name in names if name.startswith("GLIBC_")]
        known = [number for number in numbers if is_dotted(number)]
        if known:
            found.append((max(known, key=dotted), shared.path))
    return sorted(found, key=lambda item: dotted(item[0]), reverse=True)


def _glibc(facts: Facts) -> Hit | None:
    have = facts.machine.host.glibc
    if not have:
        return None
    if facts.target is None:
        return _glibc_by_table(facts, have)
    short = [(need, path) for need, path in _needed_glibc(facts) if not at_least(have, need)]
    if not short:
        return None
    lines = [f"{facts.target.relative(path)} needs glibc {need}" for need, path in short[:_SHOWN]]
    return Hit((*lines, f"this host has glibc {have}"), f"glibc {have} is older than {short[0][0]}, which is needed")


def _glibc_by_table(facts: Facts, have: str) -> Hit | None:
    """Wheels that are known to need more than this host has."""
    from verl_env.machine.wheel_tables import wheel_glibcs  # noqa: PLC0415  reads a file

    for row in wheel_glibcs():
        version, need = facts.version(row.package), row.glibc
        if version is None or not need or row.basis not in {"measured", "reported"} or at_least(have, str(need)):
            continue
        if row.versions and specifiers(str(row.versions)).contains(version.public, prereleases=True):
            evidence = (facts.named(row.package), f"its wheels need glibc {need}", f"this host has glibc {have}")
            return Hit(evidence, f"{facts.named(row.package)} needs glibc {need}, this host has {have}")
    return None


def _older_glibc(facts: Facts) -> Remedy:
    if "flash-attn" in facts.natives:
        return Remedy("Take the flash-attn that fits this host.", (facts.shell.install("flash-attn"),))
    commands = ["export FLASH_ATTENTION_FORCE_BUILD=TRUE"]
    version = facts.version("flash-attn")
    commands.append(facts.shell.install(f"flash-attn=={version.public}" if version else "flash-attn", build=True))
    text = "Build the package on this host, or take a wheel that was built on an older system."
    return Remedy(text, tuple(commands))


def _glibcxx(facts: Facts) -> Hit | None:
    """Versions of libstdc++ that objects need, against the one that the loader takes for each."""
    target = facts.target
    if target is None:
        return None
    short = []
    for shared in target.objects:
        wanted = dict(shared.elf.versions).get("libstdc++.so.6", ()) if shared.elf else ()
        found = target.loader.search("libstdc++.so.6", shared.elf) if wanted and shared.elf else None
        library = target.loader.read(found[0]) if found else None
        lost = [name for name in wanted if library and name not in library.defines]
        if lost and found:
            short.append(
                f"{target.relative(shared.path)} needs {lost[-1]}, which {found[0]} ({found[1]}) does not have"
            )
    return Hit((*short[:_SHOWN],), "libstdc++ is older than what is needed") if short else None


def _library(name: str) -> Callable[[Facts], Hit | None]:
    pattern = re.compile(rf"lib(?:{name})\.so")

    def find(facts: Facts) -> Hit | None:
        lost = lost_libraries(facts, pattern)
        if not lost or facts.target is None:
            return None
        return Hit(tuple(f"{facts.target.relative(path)} needs {soname}" for soname, path in lost[:_SHOWN]))

    return find


def _libgl(facts: Facts) -> Hit | None:
    found = _library("GL")(facts)
    return None if found is None else Hit(found.evidence, severity="warning")


def _headless(facts: Facts) -> Remedy:
    name = "opencv-python" if facts.installed("opencv-python") else "opencv-contrib-python"
    if name in facts.locked:
        return Remedy("Load libGL of the site, or have it installed.", ("sudo apt-get install libgl1 libglib2.0-0",))
    version = facts.version(name)
    wanted = f"opencv-python-headless=={version.public}" if version else "opencv-python-headless"
    commands = (facts.shell.uninstall(name), facts.shell.install(wanted, reinstall=True))
    return Remedy("Use the headless build of OpenCV on nodes without a display.", commands)


CHECKS = (
    Check(
        id="glibc-too-old",
        theme="loader",
        severity="error",
        title="A package needs a newer glibc",
        cause=(
            "Its wheel was built on a newer system than this one; a plain linux tag does not let the installer see it."
        ),
        remedy=_older_glibc,
        covers=("C1",),
        sources=("flash-attention#1708", "flash-attention#1762", "flash-attention#2225", "verl install.rst"),
        find=_glibc,
        log=(r"version [`'\u2018\"]?GLIBC_(?P<need>\d[\d.]*)[`'\u2019\"]? not found",),
        explains=("vllm-op-missing", "model-inspection-failed", "sgl-kernel-critical"),
    ),
    Check(
        id="libstdcxx-too-old",
        theme="loader",
        severity="error",
        title="A package needs a newer libstdc++",
        cause=(
            "The libstdc++ that comes first on the loader's path, of conda or of the system, is older than its "
            "compiler's."
        ),
        remedy=Remedy(
            "Update the libstdc++ that comes first; do not copy or link libraries by hand.",
            ("conda install -c conda-forge libstdcxx-ng",),
        ),
        covers=("C2",),
        sources=("ktransformers#439", "ktransformers#524", "fastllm#301"),
        find=_glibcxx,
        log=(r"version [`'\u2018\"]?(?:GLIBCXX|CXXABI)_[\d.]+[`'\u2019\"]? not found",),
        explains=("vllm-op-missing", "model-inspection-failed", "sgl-kernel-critical"),
    ),
    Check(
        id="libnuma-missing",
        theme="loader",
        severity="error",
        title="libnuma.so.1 is not there",
        cause=(
            "sgl_kernel is linked to libnuma, which slim hosts do not have; it shows as a message on GPU architectures."
        ),
        remedy=Remedy("Install numactl's library.", ("conda install -c conda-forge numactl",)),
        covers=("C3",),
        sources=("sglang PR#15355", "odysseus PR#6257"),
        find=_library("numa"),
        log=(r"libnuma\.so(?:\.1)?: cannot open shared object",),
        explains=("sgl-kernel-critical",),
    ),
    Check(
        id="libgl-missing",
        theme="loader",
        severity="error",
        title="libGL.so.1 is not there",
        cause="The build of OpenCV with a user interface needs libGL, which nodes without a display do not have.",
        remedy=_headless,
        covers=("C4",),
        sources=("opencv-python README",),
        find=_libgl,
        log=(r"libGL\.so\.1: cannot open shared object", r"libgthread-2\.0\.so\.0: cannot open shared object"),
    ),
    Check(
        id="rdma-libraries-missing",
        theme="loader",
        severity="warning",
        title="RDMA user libraries are not there",
        cause="DeepEP, Mooncake and NIXL are linked to libibverbs and librdmacm of the host.",
        remedy=Remedy("Load the RDMA module of the site, or switch the backend off.", ("module load rdma-core",)),
        covers=("C5",),
        sources=("verl install.rst",),
        find=_library("ibverbs|rdmacm|mlx5"),
        log=(r"lib(?:ibverbs|rdmacm|mlx5)\.so\.\d+: cannot open shared object",),
    ),
)
