"""What the dynamic loader would take: shadowed, doubled and missing libraries, glibc and libstdc++."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.binaries.loader import Closure
from verl_env.command_line import quoted
from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.checks.packages.cuda import doubled, is_foreign, one_family, pinned_by_torch
from verl_env.doctor.commands import remedy
from verl_env.doctor.engines.torchload import gaps_of
from verl_env.doctor.model import Fix, Hit, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Severity
    from verl_env.doctor.target import InspectedEnvironment, Shared

#: Packages whose libraries must all be found; others ship plugins for libraries that are optional.
_STRICT = frozenset(
    {
        "torch",
        "vllm",
        "sgl-kernel",
        "sglang-kernel",
        "flash-attn",
        "transformer-engine",
        "transformer-engine-torch",
        "transformer-engine-cu12",
        "transformer-engine-cu13",
        "torchvision",
        "xformers",
        "apex",
        "causal-conv1d",
        "mamba-ssm",
        "grouped-gemm",
        "flashinfer-python",
        "deep-gemm",
        "nixl",
        "mooncake-transfer-engine",
        "opencv-python",
    }
)
_CUDA_LIBRARY = re.compile(
    r"^lib(?:nvrtc\w*|cupti|nvshmem_host|cusparseLt|cufile\w*|nvJitLink|cublas\w*|cufft\w*|curand|cusolver\w*|cusparse"
    r"|nccl|cudnn\w*|cudart|nvToolsExt)\.so"
)
_SHADOWED = r"lib(?:nvJitLink|cusparse|cublas|cublasLt|cudart|cusolver|cufft|nvrtc)\.so"
_HEALED = " torch mends this for itself at import; what loads a CUDA library without torch does not."
_SHOWN = 5


def strict_objects(facts: Facts) -> Iterator[Shared]:
    """Objects of the packages whose libraries must all be found, and unrecorded flash-attn builds."""
    for shared in facts.target.objects if facts.target else ():
        if shared.elf and (shared.owner in _STRICT or (shared.owner is None and "flash_attn" in shared.path)):
            yield shared


def lost_libraries(facts: Facts, family: re.Pattern[str]) -> list[tuple[str, str]]:
    """Needed libraries of a family that would not be found, each with the file that needs it."""
    if facts.target is None:
        return []
    found: dict[tuple[str, str], None] = {}
    for shared in strict_objects(facts):
        wanted = [name for name in shared.elf.needed if family.match(name)] if shared.elf else []
        lost = facts.target.missing_libraries(shared) if wanted else []
        found.update({(name, path): None for name, path in lost if family.match(name)})
    lost_by_torch = [(name, path) for name, path in facts.target.torch_process.missing if family.match(name)]
    return list(dict.fromkeys([*lost_by_torch, *found]))


def _outside(facts: Facts, path: str) -> bool:
    target = facts.target
    return target is not None and not Path(path).resolve().is_relative_to(target.prefix.resolve())


def _shadowed(facts: Facts, names: str) -> list[tuple[str, str, str]]:
    """Libraries of NVIDIA wheels that the loader takes from elsewhere: SONAME, path, rule."""
    target = facts.target
    if target is None:
        return []
    own = {path.name for path in (target.torch_site / "nvidia").glob("*/lib/lib*.so.*")}
    return [
        (soname, loaded.elf.path, loaded.by)
        for soname, loaded in target.torch.first.loaded.items()
        if re.match(names, soname) and soname in own and _outside(facts, loaded.elf.path)
    ]


def _gap(facts: Facts, pattern: str) -> list[str]:
    """Evidence of symbols that the loader would not find for torch's libraries."""
    target = facts.target
    if target is None:
        return []
    return [
        f"{target.relative(path)} needs {name}" for name, path in target.torch.first_gaps if re.match(pattern, name)
    ]


def _severity(facts: Facts, gaps: list[str]) -> Severity:
    """An error where symbols miss and torch's own fallback does not mend it."""
    return "error" if gaps and facts.target is not None and not facts.target.torch.healed else "warning"


@finds("cuda-library-shadowed")
def _nvjitlink(facts: Facts) -> Hit | None:
    shadowed = _shadowed(facts, _SHADOWED)
    if not shadowed:
        return _waiting_shadow(facts)
    gaps = _gap(facts, r"_*nvJitLink|cusparse|cublas|cuda|cusolver|cufft|nvrtc")
    lines = [f"{soname} is taken from {path} ({by})" for soname, path, by in shadowed]
    healed = gaps and _severity(facts, gaps) == "warning"
    cause = f"LD_LIBRARY_PATH is searched before the RUNPATH of the NVIDIA wheels.{_HEALED if healed else ''}"
    return Hit((*gaps[:_SHOWN], *lines), cause=cause, severity=_severity(facts, gaps))


def _waiting_shadow(facts: Facts) -> Hit | None:
    """Libraries on LD_LIBRARY_PATH that torch avoids, but that a program without torch would take."""
    target = facts.target
    if target is None:
        return None
    wheels = {path.name: path for path in (target.torch_site / "nvidia").glob("*/lib/lib*.so.*")}
    folders = [Path(folder) for folder in target.loader.library_path if _outside(facts, folder)]
    found = [folder / name for folder in folders for name in wheels if re.match(_SHADOWED, name)]
    there = [str(path) for path in found if path.exists()]
    if not there:
        return None
    gaps = [f"{target.relative(path)} needs {name}" for name, path in _gaps_alone(target, list(wheels.values()))]
    cause = f"LD_LIBRARY_PATH is searched before the RUNPATH of the NVIDIA wheels.{_HEALED}"
    return Hit((*gaps[:_SHOWN], *there[:_SHOWN]), cause=cause, severity="warning" if gaps else "info")


def _gaps_alone(target: InspectedEnvironment, wheels: list[Path]) -> list[tuple[str, str]]:
    """CUDA symbols that miss when a library of the wheels is loaded by itself."""
    found: dict[tuple[str, str], None] = {}
    for path in wheels:
        if re.match(r"lib(?:cusparse|cusolver)\b", path.name):
            closure = target.loader.load(str(path), Closure())
            found.update(dict.fromkeys(gaps_of(closure, target.providers)))
    return list(found)


@mends("cuda-library-shadowed", "cudnn-versions")
def _unset_library_path(facts: Facts) -> Remedy:
    site = facts.target.site if facts.target else "$SITE_PACKAGES"
    return Remedy(
        "Unload the CUDA module or take its directory out of LD_LIBRARY_PATH; last resort: the wheel's own first.",
        ("unset LD_LIBRARY_PATH", f'# or: export LD_LIBRARY_PATH="{site}/nvidia/nvjitlink/lib:$LD_LIBRARY_PATH"'),
    )


@finds("nccl-not-torchs")
def _nccl(facts: Facts) -> Hit | None:
    there = doubled(facts, "nccl")
    if there:
        title = "two NCCL wheels write the same library"
        evidence = (*map(facts.named, there), *_gap(facts, "nccl")[:_SHOWN])
        return Hit(evidence, title, remedy=one_family(facts, there, "Remove every NCCL wheel and bring back torch's."))
    gaps = _gap(facts, "nccl")
    shadowed = _shadowed(facts, r"libnccl\b")
    lines = [f"{soname} is taken from {path} ({by})" for soname, path, by in shadowed]
    if not gaps and not shadowed:
        return None
    title = "another NCCL comes first on the loader's path" if shadowed else "the NCCL library is not torch's"
    fix = None if shadowed else _nccl_again(facts)
    return Hit((*gaps[:_SHOWN], *lines), title, remedy=fix, severity=_severity(facts, gaps))


@mends("nccl-not-torchs")
def _nccl_again(facts: Facts) -> Remedy:
    name = f"nvidia-nccl-cu{facts.cuda_major or 12}"
    version = pinned_by_torch(facts, name)
    wanted = f"{name}=={version}" if version else name
    return remedy(facts.shell, "Reinstall the NCCL that torch pins.", Fix(install=(wanted,), reinstall=True))


@finds("cudnn-versions")
def _cudnn(facts: Facts) -> Hit | None:
    """All parts of cuDNN must come from one directory."""
    shadowed = _shadowed(facts, r"libcudnn")
    target = facts.target
    if target is None or not shadowed:
        return None
    lines = [f"{soname} is taken from {path} ({by})" for soname, path, by in shadowed]
    return Hit(tuple(lines), severity=_severity(facts, _gap(facts, "cudnn")))


@finds("transformer-engine-cudnn")
def _te_cudnn(facts: Facts) -> Hit | None:
    """TransformerEngine looks for cuDNN among the wheels first: all its parts must be there."""
    target = facts.target
    if target is None or facts.first_of(("transformer-engine", "transformer-engine-torch")) is None:
        return None
    folder = target.torch_site / "nvidia" / "cudnn" / "lib"
    if not folder.is_dir() or facts.variable("CUDNN_HOME") or facts.variable("CUDNN_PATH"):
        return None
    lost = [
        name for name in ("libcudnn.so.9", "libcudnn_adv.so.9", "libcudnn_ops.so.9") if not (folder / name).exists()
    ]
    return Hit(tuple(f"{target.relative(str(folder))}/{name} is not there" for name in lost)) if lost else None


@mends("transformer-engine-cudnn")
def _set_cudnn(facts: Facts) -> Remedy:
    site = facts.target.site if facts.target else "$(python -c 'import site; print(site.getsitepackages()[0])')"
    path = quoted(f"{site}/nvidia/cudnn") if facts.target else f"{site}/nvidia/cudnn"
    return Remedy(
        "Point TransformerEngine at the cuDNN of the wheels.",
        (f"export CUDNN_PATH={path}", 'export CPATH="$CUDNN_PATH/include:$CPATH"'),
    )


@finds("cuda-library-missing")
def _cuda_missing(facts: Facts) -> Hit | None:
    if facts.rocm_torch:
        return None
    lost = [(name, path) for name, path in lost_libraries(facts, _CUDA_LIBRARY) if "cudart" not in name]
    if not lost or facts.target is None:
        return None
    lines = [f"{facts.target.relative(path)} needs {name}" for name, path in lost]
    return Hit(tuple(dict.fromkeys(lines)), f"{lost[0][0]} is not found by the loader")


@reads("cuda-library-missing")
def _cuda_missing_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """A missing library of torch's own CUDA major; one of another major is a mix of builds."""
    library = match["name"].removeprefix("lib")
    if library in _BY_MAJOR and is_foreign(facts, library, int(match["major"])):
        return None
    return Hit((), f"{match['name']}.so is not found by the loader")


_BY_MAJOR = frozenset({"nvrtc", "cublas", "cublasLt", "nvJitLink", "cupti"})


@mends("cuda-library-missing")
def _missing_wheels(facts: Facts) -> Remedy:
    """The nvidia wheels that torch asks for and that are not there."""
    wanted = []
    for distribution in facts.target.distributions if facts.target else ():
        if distribution.name == "torch":
            for line in distribution.requires:
                match = re.match(r"(nvidia-[\w-]+)\s*\(?(==\s*[\w.]+)?", line)
                if match and facts.absent(match[1]) and "extra ==" not in line:
                    wanted.append(f"{match[1]}{(match[2] or '').replace(' ', '')}")
    text = "Install the NVIDIA wheels that torch asks for."
    if wanted:
        return remedy(facts.shell, text, Fix(install=tuple(wanted)))
    torch = facts.version("torch")
    return Remedy(
        text, (facts.shell.install(f"torch=={torch.public}" if torch else "torch", reinstall=True, deps=True),)
    )
