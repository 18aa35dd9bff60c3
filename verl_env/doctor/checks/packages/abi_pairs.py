"""Compiled packages that stand beside a release they do not accept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends
from verl_env.doctor.checks.packages.abi import broken_objects, hit_of, rebuild
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.doctor.tables import table
from verl_env.reading import text_or_none

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

#: The minor release of a torchvision 0.x is that of its torch 2.x plus this.
TORCHVISION_OFFSET = 15
_CUTE = "flash_attn/cute/"


def in_file(facts: Facts, relative: str, pattern: str) -> re.Match[str] | None:
    """A match in a source file of the environment's site-packages; None where there is none."""
    if facts.target is None:
        return None
    text = text_or_none(facts.target.site / relative)
    return None if text is None else re.search(pattern, text, re.DOTALL)


@finds("flash-attn-te-range")
def _te_range(facts: Facts) -> Hit | None:
    """The range that TransformerEngine's own source states, against the installed flash-attn."""
    have = facts.version("flash-attn")
    for name in ("dot_product_attention/utils.py", "utils.py"):
        match = in_file(
            facts,
            f"transformer_engine/pytorch/attention/{name}",
            r'version_required = PkgVersion\("(?P<low>[\d.]+)"\).*?max_version = PkgVersion\("(?P<high>[\w.]+)"\)',
        )
        if match and have and not facts.matches("flash-attn", f">={match['low']},<={match['high']}"):
            evidence = (facts.named("flash-attn"), f"TransformerEngine accepts {match['low']} to {match['high']}")
            return Hit(evidence, severity="warning")
    return None


@finds("flash-attn-xformers-range")
def _xformers_range(facts: Facts) -> Hit | None:
    if facts.variable("XFORMERS_IGNORE_FLASH_VERSION_CHECK") == "1" or not facts.installed("xformers", "flash-attn"):
        return None
    own = list((facts.target.site / "xformers").glob("_C_flashattention*.so")) if facts.target else []
    if own:
        return None
    read = in_file(facts, "xformers/ops/fmha/flash.py", r'FLASH_VER_LAST = parse_version\("(?P<high>[\w.]+)"\)')
    rows = table("pairs")["xformers"]["flash-attn"]
    high = read["high"] if read else next((top for spec, top in rows.items() if facts.matches("xformers", spec)), None)
    have = facts.version("flash-attn")
    if high is None or have is None or not facts.matches("flash-attn", f">{high}"):
        return None
    return Hit(
        (facts.named("xformers"), facts.named("flash-attn"), f"highest flash-attn that it accepts: {high}"),
        f"{facts.named('xformers')} refuses flash-attn {have}",
        remedy=remedy(
            facts.shell,
            f"Install flash-attn {high} or older, or an xformers that accepts the one that is there.",
            Fix(install=(f"flash-attn<={high}",), build=True),
            safe=False,
        ),
    )


@finds("flash-attn-cute-owner")
def _cute(facts: Facts) -> Hit | None:
    """flash-attn-4 and flash-attn 2.8.3 both own ``flash_attn/cute``."""
    if not facts.installed("flash-attn-4", "flash-attn"):
        return None
    evidence: tuple[str, ...] = (facts.named("flash-attn-4"), facts.named("flash-attn"))
    if facts.target is not None:
        shared = [clash.path for clash in facts.target.clashes if _CUTE in clash.path]
        if not shared:
            return None
        evidence += (f"{len(shared)} files are claimed by both, such as {shared[0]}",)
    elif not facts.matches("flash-attn", ">=2.8.3"):
        return None
    megatron = facts.first_of(("transformer-engine", "megatron-core", "transformer-engine-torch"))
    return Hit(evidence, severity="error" if megatron else "warning")


@mends("flash-attn-cute-owner")
def _without_cute(facts: Facts) -> Remedy:
    version = facts.version("flash-attn")
    wanted = f"flash-attn=={version.public}" if version else "flash-attn"
    text = "Remove flash-attn-4, then reinstall flash-attn, whose files it replaced."
    fix = Fix(uninstall=("flash-attn-4",), install=(wanted,), reinstall=True, build=True)
    return remedy(facts.shell, text, fix, safe=False)


@finds("torchvision-torch")
def _torchvision(facts: Facts) -> Hit | None:
    """The minor release of torchvision is that of torch plus 15, and both are of one build (CPU or the same CUDA)."""
    broken = broken_objects(facts, lambda shared: shared.owner == "torchvision")
    if broken:
        return hit_of(facts, broken, "A12", "torchvision")
    vision, torch = facts.version("torchvision"), facts.version("torch")
    if vision is None or torch is None or vision.major != 0 or torch.major < 2 or torch.is_prerelease:  # noqa: PLR2004
        return None
    evidence = (facts.named("torchvision"), facts.named("torch"))
    if vision.minor != torch.minor + TORCHVISION_OFFSET and torch.major == 2:  # noqa: PLR2004
        title = f"torchvision {vision} is for torch 2.{vision.minor - TORCHVISION_OFFSET}, not {torch}"
        return Hit(evidence, title)
    if {vision.local, torch.local} & {"cpu"} and vision.local and torch.local and vision.local != torch.local:
        return Hit(evidence, f"torchvision is a {vision.local} build, torch a {torch.local} build")
    return None


@mends("torchvision-torch")
def _pair_torchvision(facts: Facts) -> Remedy:
    torch = facts.version("torch")
    if torch is None:
        return Remedy("Install the torchvision release that belongs to the installed torch.")
    wanted = f"torchvision==0.{torch.minor + TORCHVISION_OFFSET}.*"
    return remedy(facts.shell, f"Install the torchvision of torch {torch}.", Fix(install=(wanted,), reinstall=True))


@finds("torchcodec-load")
def _torchcodec(facts: Facts) -> Hit | None:
    codec, torch = facts.version("torchcodec"), facts.version("torch")
    wanted = table("pairs")["torchcodec"]["torch"].get(f"{codec.major}.{codec.minor}") if codec else None
    if wanted and torch and f"{torch.major}.{torch.minor}" != wanted:
        evidence = (facts.named("torchcodec"), facts.named("torch"))
        return Hit(evidence, f"torchcodec {codec} is for torch {wanted}, not {torch}", severity="warning")
    target = facts.target
    if target is None or codec is None:
        return None
    cores = [shared for shared in target.objects_of("torchcodec") if "libtorchcodec_core" in shared.path]
    missing = [sorted({name for name, _ in target.missing_libraries(core)}) for core in cores]
    if cores and all(any(name.startswith("libav") for name in names) for names in missing):
        line = (
            f"none of {', '.join(sorted({name for names in missing for name in names if 'avutil' in name}))} is found"
        )
        title = "torchcodec finds no FFmpeg library"
        cause = "torchcodec needs the shared libraries of FFmpeg 4 to 8, and the loader finds none of them."
        return Hit((facts.named("torchcodec"), line), title, cause, _ffmpeg(facts), severity="warning")
    return None


@mends("torchcodec-load")
def _ffmpeg(_: Facts) -> Remedy:
    return Remedy(
        "Match torchcodec to torch, and make FFmpeg's shared libraries visible to the loader.",
        ("conda install -c conda-forge ffmpeg",),
    )


mends("flash-attn-te-range")(rebuild("flash-attn", " Choose a release inside the range, or a newer TransformerEngine."))
