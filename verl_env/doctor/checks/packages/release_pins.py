"""What releases ask for, by the index's own metadata, against what a report says is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from verl_env.doctor.checks.functions import finds
from verl_env.doctor.commands import remedy
from verl_env.doctor.facts import specifiers
from verl_env.doctor.model import Fix, Hit
from verl_env.doctor.releases.known import markers_of
from verl_env.doctor.releases.table import asked, everything, releases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.doctor.facts import Facts

#: Who asks, strongest first; verl has a table of its own.
_ASKING = ("vllm", "sglang", "transformer-engine", "transformers")
#: Packages whose other release breaks an engine at its import or in its kernels; others are told as warnings.
_BREAKS = frozenset({"torch", "sgl-kernel", "sglang-kernel", "flashinfer-python", "xgrammar", "tokenizers"})
_KERNELS = ("sglang-kernel", "sgl-kernel")
#: Asked for too narrowly, or told by a check of their own.
_LEFT_OUT = frozenset(
    {"numpy", "protobuf", "setuptools", "opencv-python-headless", "fastapi", "pydantic", "torchaudio"}
)


def unmet(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Who asks, for what, and which specifier is not met, for releases that the table knows."""
    for name in _ASKING:
        version = facts.version(name)
        if version is None or version.is_devrelease or facts.rocm_torch or _is_site_build(version):
            continue
        for other, specifier in everything(name, version, markers_of(facts)).items():
            have = facts.version(other)
            if have is None or other in _LEFT_OUT or other.startswith(("nvidia-", "opentelemetry")) or not specifier:
                continue
            if not specifiers(specifier).contains(Version(have.public), prereleases=True):
                yield name, other, specifier


def _is_site_build(version: Version) -> bool:
    return bool(version.local and not version.local.startswith("cu"))


@finds("release-pins")
def _pins(facts: Facts) -> Hit | None:
    if facts.target is not None:
        return None
    found = [one for one in unmet(facts) if one[1] != "torch"]
    if not found:
        return None
    name, other, specifier = min(found, key=lambda one: one[1] not in _BREAKS)
    lines = tuple(
        f"{who} {facts.packages[who]} asks for {what}{spec}, there is {facts.packages[what]}"
        for who, what, spec in found
    )
    title = f"{facts.named(name)} asks for {other}{specifier}, not {facts.packages[other]}"
    severe = other in _BREAKS and specifier.startswith("==") and _far(facts.version(other), specifier)
    fix = remedy(
        facts.shell, "Install what the engine's release asks for.", Fix(install=(f"{other}{specifier}",)), safe=False
    )
    return Hit(lines, title, remedy=fix, severity="error" if severe else "warning")


def _far(have: Version | None, specifier: str) -> bool:
    """Whether it is more than a patch release away."""
    wanted = Version(specifier.removeprefix("==")).release
    return have is not None and have.release[:2] != wanted[:2]


@finds("kernel-package-torch")
def _kernel(facts: Facts) -> Hit | None:
    """A kernel package beside another torch than that of every SGLang which pins it."""
    torch = facts.version("torch")
    name = facts.first_of(_KERNELS)
    have = facts.version(name) if name else None
    if name is None or have is None or torch is None or facts.rocm_torch or torch.is_prerelease:
        return None
    wanted = sorted(
        {pin for version in releases("sglang") if _asks(version, name, have) and (pin := _torch_of(version))}
    )
    if not wanted or any(
        specifiers(pin).contains(f"{torch.major}.{torch.minor}") or _same(torch, pin) for pin in wanted
    ):
        return None
    pins = ", ".join(wanted)
    lines = (
        facts.named(name),
        facts.named("torch"),
        f"releases of SGLang that pin {name} {have.public} pin torch{pins}",
    )
    title = f"{facts.named(name)} is compiled for torch {pins.replace('==', '')}, not {torch}"
    fix = Fix(install=(f"torch{wanted[-1]}",), deps=True)
    return Hit(
        lines, title, remedy=remedy(facts.shell, "Bring back the torch of this kernel package.", fix, safe=False)
    )


def _asks(version: Version, name: str, have: Version) -> bool:
    return asked("sglang", version, name, {}) == f"=={have.public}"


def _torch_of(version: Version) -> str | None:
    return asked("sglang", version, "torch", {})


def _same(torch: Version, pin: str) -> bool:
    return Version(pin.removeprefix("==")).release[:2] == torch.release[:2] if pin.startswith("==") else False
