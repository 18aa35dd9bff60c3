"""The CUDA that packages are built for, and the NVIDIA wheels that bring it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.checks.system.rocm import on_rocm
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.versions import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.doctor.facts import Facts

#: cu13 wheels without a suffix; other distributions of NVIDIA have none either.
_UNSUFFIXED = ("cublas", "cuda-runtime", "cuda-nvrtc", "cuda-cupti", "cufft", "curand", "cusolver", "cusparse")
#: Families whose wheels of every CUDA major write to the same directory under the same file names.
_SHARED = ("cudnn", "nccl", "nvshmem", "cusparselt")
#: So many of the runtime's own wheels make a runtime.
_SOME = 3
_SUFFIX = re.compile(r"^nvidia-(?P<family>[\w-]+)-cu(?P<major>1[1-9])$")
_RUNTIME = re.compile(r"^lib(?:cudart|nvrtc)\.so\.(?P<major>\d+)")
#: vLLM wheels of the default index are CUDA 13 builds (vllm#52300, #43435, #44335, #52453).
_VLLM_CUDA13 = ">=0.20,<0.27"


def families(facts: Facts) -> dict[int, list[str]]:
    """Installed NVIDIA wheels by CUDA major."""
    found: dict[int, list[str]] = {}
    for name in facts.packages:
        match = _SUFFIX.match(name)
        if match:
            found.setdefault(int(match["major"]), []).append(name)
        elif name.startswith("nvidia-") and name.removeprefix("nvidia-") in _UNSUFFIXED:
            version = facts.version(name)
            if version is not None and version.major >= 13:  # noqa: PLR2004  older releases were unsuffixed too
                found.setdefault(13, []).append(name)
    return found


def _by_local(facts: Facts) -> list[str]:
    """Packages that say in their version that they are for CUDA 12, beside a CUDA runtime of 13 and none of 12."""
    there = families(facts)
    runtime = [name for name in there.get(13, ()) if name.removeprefix("nvidia-") in _UNSUFFIXED]
    if len(runtime) < _SOME or 12 in there or facts.cuda_major == 13:  # noqa: PLR2004  majors of CUDA
        return []
    local = ((name, (version or "").partition("+")[2]) for name, version in facts.packages.items())
    return [name for name, tag in local if re.fullmatch(r"cu12\d", tag)]


def doubled(facts: Facts, family: str) -> list[str]:
    """The wheels of one family for several CUDA majors, which overwrite each other."""
    names = [f"nvidia-{family}-cu{major}" for major in (11, 12, 13)]
    there = [name for name in names if facts.installed(name)]
    return there if len(there) > 1 else []


def one_family(facts: Facts, there: list[str], text: str) -> Remedy:
    """Removes all wheels of a family and brings back the one of torch's CUDA major."""
    kept = next((name for name in there if facts.cuda_major and name.endswith(f"cu{facts.cuda_major}")), None)
    if kept is None:
        return Remedy(text, (facts.shell.uninstall(*there),))
    version = pinned_by_torch(facts, kept) or facts.packages.get(kept)
    wanted = f"{kept}=={version}" if version else kept
    return remedy(facts.shell, text, Fix(uninstall=tuple(there), install=(wanted,), reinstall=True))


def pinned_by_torch(facts: Facts, name: str) -> str | None:
    """The version of a wheel that torch's own metadata pins."""
    for distribution in facts.target.distributions if facts.target else ():
        if distribution.name == "torch":
            for line in distribution.requires:
                match = re.match(rf"{re.escape(name)}\s*\(?==\s*([\w.]+)", line)
                if match:
                    return match[1]
    return None


def _runtime_needs(facts: Facts) -> Iterator[tuple[str, str, int]]:
    """Objects outside torch that need a CUDA runtime which nothing provides: owner, path, its major."""
    target = facts.target
    if target is None:
        return
    for shared in target.objects:
        if shared.elf is None or shared.owner is None or shared.owner.startswith(("nvidia-", "cupy", "torch")):
            continue
        majors = [(name, match) for name in shared.elf.needed if (match := _RUNTIME.match(name))]
        lost = {name for name, _ in target.missing_libraries(shared)} if majors else set()
        for name, match in majors:
            if name in lost:
                yield shared.owner, f"{target.relative(shared.path)} needs {name}", int(match["major"])


def _runtime(name: str, wanted: tuple[int, ...], row: str) -> None:
    """The check of packages that need the runtime of some majors of CUDA."""

    @finds(name)
    def find(facts: Facts) -> Hit | None:
        found = [(owner, line) for owner, line, major in _runtime_needs(facts) if major in wanted]
        if not found:
            return _stated(facts) if wanted == (13,) and facts.target is None else None
        owner = found[0][0]
        title = f"{facts.named(owner)} is a CUDA {wanted[0]} build in an environment of CUDA {facts.cuda or 'unknown'}"
        return Hit((*dict.fromkeys(line for _, line in found), facts.named("torch")), title, covers=(row,))

    @reads(name)
    def read(facts: Facts, match: re.Match[str]) -> Hit | None:
        major = int(match["major"])
        if major not in wanted or on_rocm(facts, match.string) or not is_foreign(facts, match["library"], major):
            return None
        torch = facts.named("torch") if facts.installed("torch") else "torch"
        known = f" while {torch} is a CUDA {facts.cuda} build" if facts.cuda else ""
        return Hit((), f"a compiled package needs CUDA {major}{known}", covers=(row,))


def is_foreign(facts: Facts, library: str, major: int) -> bool:
    """Whether a library that was not found is of another CUDA than the environment, rather than left out of it.

    Where torch's own CUDA is not known, the NVIDIA wheels say it, or a driver that is too old for that CUDA.
    """
    if facts.cuda_major is not None:
        return facts.cuda_major != major or library == "cudart"
    majors = set(families(facts))
    if majors:
        return major not in majors
    nvidia = facts.machine.nvidia
    newest = dotted(nvidia.cuda)[0] if nvidia and nvidia.cuda else None
    return library in {"cudart", "nvrtc"} or (newest is not None and newest < major)


def _stated(facts: Facts) -> Hit | None:
    """A vLLM of the default index beside a torch for CUDA 12, by their versions alone."""
    version = facts.version("vllm")
    if facts.cuda_major != 12 or version is None or version.local or not facts.matches("vllm", _VLLM_CUDA13):  # noqa: PLR2004
        return None
    evidence = (facts.named("vllm"), facts.named("torch"), f"torch is built for CUDA {facts.cuda}")
    return Hit(
        evidence, f"{facts.named('vllm')} is a CUDA 13 build, torch one of CUDA {facts.cuda}", severity="warning"
    )


_runtime("cuda13-package-in-cuda12", (13,), "B1")
_runtime("cuda12-package-in-cuda13", (12, 11), "B2")


@finds("cuda-families-mixed")
def _mixed(facts: Facts) -> Hit | None:
    found = {major: [name for name in names if "nccl" not in name] for major, names in families(facts).items()}
    found = {major: names for major, names in found.items() if names}
    shared = [names for family in _SHARED if (names := doubled(facts, family))]
    clashing = [names for names in shared if not any("nccl" in name for name in names)]
    tagged = _by_local(facts)
    if tagged:
        lines = (*map(facts.named, tagged), f"CUDA 13: {', '.join(sorted(found[13])[:4])}")
        return Hit(lines, f"{facts.named(tagged[0])} is for CUDA 12, the CUDA libraries beside it are of 13")
    if len(found) < 2 and not clashing:  # noqa: PLR2004  one family is right
        return None
    evidence = tuple(f"CUDA {major}: {', '.join(sorted(names)[:4])}" for major, names in sorted(found.items()))
    rows = ("B7", "B11") if any("cudnn" in name for names in clashing for name in names) else ("B7",)
    fix = one_family(facts, [name for names in clashing for name in names], _MIX_TEXT) if clashing else None
    return Hit(evidence, remedy=fix, severity="error" if clashing else "warning", covers=rows)


_MIX_TEXT = (
    "Keep the wheels of one CUDA major: make the environment anew, or remove the family that torch does not use."
)


@mends("cudnn-conv3d")
def _newer_cudnn(facts: Facts) -> Remedy:
    name = facts.first_of(("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")) or f"nvidia-cudnn-cu{facts.cuda_major or 12}"
    return remedy(
        facts.shell,
        "Raise cuDNN over torch's own pin, as an override.",
        Fix(install=(f"{name}>=9.16",)),
    )
