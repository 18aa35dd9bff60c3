"""What is known of the versions around a package: what is installed, and what its release asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from verl_env.doctor.facts import specifiers
from verl_env.doctor.releases.table import everything, projects, read_on, release, standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from verl_env.doctor.facts import Facts

#: Distributions of modules that have another name.
OF_MODULE = {
    "flash-attn-2-cuda": "flash-attn",
    "flashinfer": "flashinfer-python",
    "megatron": "megatron-core",
    "cv2": "opencv-python",
    "vllm-c": "vllm",
    "yaml": "pyyaml",
}
_SHOWN = 6


def markers_of(facts: Facts) -> dict[str, str]:
    """What is known of an environment, as PEP 508 names it."""
    python, arch = facts.python_version, facts.machine.host.arch
    known = {"platform_machine": arch} if arch else {}
    if python is not None:
        short = f"{python.major}.{python.minor}"
        known |= {"python_version": short, "python_full_version": str(python) if python.micro else f"{short}.0"}
    return known


def known_of(package: str | None, facts: Facts) -> tuple[str, ...]:
    """What is known of a package, in lines: its version, its release's date, and what it asks of what is there."""
    name = OF_MODULE.get(package or "", package or "")
    return tuple(_lines(canonicalize_name(name), facts))[:_SHOWN] if name else ()


def _lines(name: str, facts: Facts) -> Iterator[str]:
    version = facts.version(name)
    if version is None:
        if facts.installed(name):
            yield f"{name} is installed, its version is not stated"
        return
    row = release(name, version)
    if row is not None:
        yield f"{facts.named(name)}: released {row.date or 'on an unknown day'}"
        yield from (f"{name} {row.version} asks for {one}" for one in unmet(name, version, facts))
    elif name in projects() and standing(name, version) == "newer":
        yield f"{facts.named(name)} is newer than what is known here (index read {read_on()})"
    else:
        yield facts.named(name)


def unmet(name: str, version: Version, facts: Facts) -> Iterator[str]:
    """What a release asks of packages that are there in another version: ``torch==2.14.0, there is 2.13.0``."""
    wanted: Mapping[str, str] = everything(name, version, markers_of(facts))
    for other, specifier in wanted.items():
        have = facts.version(other)
        if have is not None and specifier and not specifiers(specifier).contains(have, prereleases=True):
            public = specifiers(specifier).contains(Version(have.public), prereleases=True)
            if not public:
                yield f"{other}{specifier}, there is {have}"
