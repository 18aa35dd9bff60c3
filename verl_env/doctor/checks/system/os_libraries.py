"""The C library, the C++ library and other libraries of the operating system."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends
from verl_env.doctor.checks.system.loader import lost_libraries
from verl_env.doctor.facts import specifiers
from verl_env.doctor.model import Hit, Remedy
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


@finds("glibc-too-old")
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


@mends("glibc-too-old")
def _older_glibc(facts: Facts) -> Remedy:
    if "flash-attn" in facts.natives:
        return Remedy("Take the flash-attn that fits this host.", (facts.shell.install("flash-attn"),))
    commands = ["export FLASH_ATTENTION_FORCE_BUILD=TRUE"]
    version = facts.version("flash-attn")
    commands.append(facts.shell.install(f"flash-attn=={version.public}" if version else "flash-attn", build=True))
    text = "Build the package on this host, or take a wheel that was built on an older system."
    return Remedy(text, tuple(commands))


@finds("libstdcxx-too-old")
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


@finds("libgl-missing")
def _libgl(facts: Facts) -> Hit | None:
    found = _library("GL")(facts)
    return None if found is None else Hit(found.evidence, severity="warning")


@mends("libgl-missing")
def _headless(facts: Facts) -> Remedy:
    name = "opencv-python" if facts.installed("opencv-python") else "opencv-contrib-python"
    if name in facts.locked:
        return Remedy("Load libGL of the site, or have it installed.", ("sudo apt-get install libgl1 libglib2.0-0",))
    version = facts.version(name)
    wanted = f"opencv-python-headless=={version.public}" if version else "opencv-python-headless"
    commands = (facts.shell.uninstall(name), facts.shell.install(wanted, reinstall=True))
    return Remedy("Use the headless build of OpenCV on nodes without a display.", commands)


finds("libnuma-missing")(_library("numa"))
finds("rdma-libraries-missing")(_library("ibverbs|rdmacm|mlx5"))
