"""Python packages that do not go together: the engines, transformers, numpy, tensordict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends
from verl_env.doctor.checks.packages.abi_pins import pin_hit, wanted_torch
from verl_env.doctor.commands import remedy
from verl_env.doctor.facts import parse_version
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.doctor.tables import pinned, table
from verl_env.records import replace

if TYPE_CHECKING:
    from verl_env.doctor.engines.requirements import Missed
    from verl_env.doctor.facts import Facts

_SHOWN = 8
_OLD_NUMPY = "<2"
#: Releases whose wheels were compiled before numpy 2 and fail with it (failures catalogue D9).
_BEFORE_NUMPY_2 = (("opencv-python", "<4.10"), ("opencv-python-headless", "<4.10"), ("cupy-cuda12x", "<13.2"))
#: Requirements that installers complain of and that do no harm (verl PR#5371, sglang#14314, locks of verl's images).
_HARMLESS = frozenset(
    {("opencv-python", "numpy"), ("opencv-python-headless", "numpy"), ("vllm", "numpy"), ("decord", "decord")}
    | {("torch", "nvidia-cudnn-cu12"), ("torch", "nvidia-cudnn-cu13"), ("vllm", "opentelemetry-sdk")}
    | {("vllm", "opentelemetry-api"), ("opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-sdk")}
    | {("opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk")}
)


def window(facts: Facts, package: str) -> str | None:
    """What the installed verl asks of a package, by the table of its releases."""
    verl = facts.version("verl")
    if verl is None:
        return None
    rows: dict[str, str] = table("verl").get(package, {})
    return next((asked for release, asked in rows.items() if facts.matches("verl", release)), None)


@finds("requirements-unmet")
def _unmet(facts: Facts) -> Hit | None:
    if facts.target is None:
        return None
    found = [item for item in facts.target.missed if not _expected(facts, item)]
    if not found:
        return None
    lines = [f"{item.package} wants {item.requirement}, installed: {item.installed or 'nothing'}" for item in found]
    return Hit(tuple(lines[:_SHOWN]), f"{len(found)} requirements of installed packages are not met")


def _expected(facts: Facts, item: Missed) -> bool:
    """Unmet on purpose, harmless, or verl's own: its lock has transformers 5.3.0 where it asks for 5.5.3 (E18)."""
    own = item.package == "verl" and facts.installed("sglang") and facts.matches("verl", ">=0.9")
    return own or (item.package, item.name) in facts.unmet | _HARMLESS


@mends("requirements-unmet")
def _mend_unmet(facts: Facts) -> Remedy:
    missed = facts.target.missed if facts.target else ()
    names = [item.requirement for item in missed if item.installed is None and not _expected(facts, item)]
    text = "Install what is missing; for the others, choose one side of each conflict."
    return Remedy(text, (facts.shell.install(*dict.fromkeys(names)),) if names else ())


@finds("engines-disagree")
def _engines(facts: Facts) -> Hit | None:
    """Two engines that pin different releases of torch, or one engine whose pin is not met."""
    vllm, sglang = wanted_torch(facts, "vllm"), wanted_torch(facts, "sglang")
    if vllm and sglang and parse_version(vllm) != parse_version(sglang):
        pins = (f"vllm pins torch=={vllm}", f"sglang pins torch=={sglang}")
        lines = (*facts.versions("vllm", "sglang", "torch"), *pins)
        return Hit(lines, "vLLM and SGLang pin different releases of torch", covers=("D1",))
    if sglang is None or vllm == sglang:
        return None
    hit = pin_hit(facts, "sglang", "D0")
    return replace(hit, covers=("D0", "A7")) if hit else None


@mends("engines-disagree")
def _one_engine(facts: Facts) -> Remedy:
    return Remedy(
        "Keep one engine per environment, or take a lockset that holds both in releases that share torch.",
        ("verl-env plan --stack vllm+sglang --explain", facts.shell.uninstall("sglang", "sgl-kernel")),
    )


@finds("tensordict-range")
def _tensordict(facts: Facts) -> Hit | None:
    asked = window(facts, "tensordict")
    if facts.matches("tensordict", "==0.9.0"):
        return Hit(facts.versions("tensordict", "verl"), severity="warning")
    if asked is None or facts.version("tensordict") is None or facts.matches("tensordict", asked):
        return None
    title = f"{facts.named('verl')} wants tensordict{asked}, not {facts.packages['tensordict']}"
    return Hit(facts.versions("verl", "tensordict"), title, severity="warning")


@mends("tensordict-range")
def _mend_tensordict(facts: Facts) -> Remedy:
    asked = window(facts, "tensordict") or ">=0.8,<=0.10.0,!=0.9.0"
    return remedy(facts.shell, "Install a tensordict that this verl accepts.", Fix(install=(f"tensordict{asked}",)))


@finds("numpy-major")
def _numpy(facts: Facts) -> Hit | None:
    """Extensions of the other numpy fail at their import; OpenCV's is everybody's only where vLLM is."""
    numpy = facts.version("numpy")
    if numpy is None:
        return None
    old = [name for name, spec in _BEFORE_NUMPY_2 if numpy.major >= 2 and facts.matches(name, spec)]  # noqa: PLR2004
    caps = [
        f"{item.package} wants {item.requirement}"
        for item in (facts.target.missed if facts.target else ())
        if item.name == "numpy" and item.package in {"numba", "verl"} and not _on_purpose(facts, item.package, "numpy")
    ]
    if old or any("numba" in line for line in caps):
        severe = facts.installed("vllm") or not facts.packages_complete or any("numba" in line for line in caps)
        evidence = (facts.named("numpy"), *map(facts.named, old), *caps)
        return Hit(evidence, severity="error" if severe else "warning")
    asked = window(facts, "numpy")
    if asked and not facts.matches("numpy", asked) and not _on_purpose(facts, "verl", "numpy"):
        title = f"{facts.named('verl')} is on the other side of numpy 2"
        return Hit((facts.named("numpy"), facts.named("verl"), f"verl wants numpy{asked}"), title, severity="warning")
    return None


def _on_purpose(facts: Facts, package: str, name: str) -> bool:
    """Whether the environment's lockset leaves a requirement unmet, or pins what is there against it."""
    return (package, name) in facts.unmet or facts.locked.get(name) == facts.packages.get(name) is not None


@mends("numpy-major")
def _mend_numpy(facts: Facts) -> Remedy:
    asked = window(facts, "numpy") or _OLD_NUMPY
    return remedy(facts.shell, "Follow the side that this verl is on.", Fix(install=(f"numpy{asked}",)))


@finds("xgrammar-pin")
def _xgrammar(facts: Facts) -> Hit | None:
    """Xgrammar is pinned exactly by every release of an engine."""
    for engine in ("vllm", "sglang"):
        version = facts.version(engine)
        wanted = pinned(engine, version, "xgrammar") if version else None
        have = facts.version("xgrammar")
        other = facts.first_of(["sglang" if engine == "vllm" else "vllm"])
        if wanted and have and other is None and have.public != wanted and facts.target is None:
            return Hit((*facts.versions(engine, "xgrammar"), f"{engine} pins xgrammar=={wanted}"))
    return None
