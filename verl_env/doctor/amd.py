"""Remedies on AMD: what the package index has for CUDA alone is never installed by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from verl_env.choose.facts import facts_of
from verl_env.command_line import command
from verl_env.doctor.model import Fix, Remedy
from verl_env.doctor.restore import package_command

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

#: Projects whose files on the package index are built for CUDA, or of no use without it.
CUDA_ONLY = frozenset(
    """
    apex bitsandbytes causal-conv1d cupy deep-ep deep-gemm flash-attn flash-attn-3 flash-attn-4 mamba-ssm sgl-kernel
    sglang-kernel torch torchaudio torchvision transformer-engine transformer-engine-torch triton vllm vllm-flash-attn
    xformers
    """.split()  # noqa: SIM905
)
_PREFIXES = ("cuda-", "cupy-cuda", "flashinfer", "nvidia-", "transformer-engine-cu")


def for_amd(remedy: Remedy, facts: Facts) -> Remedy:
    """A remedy without the commands that would put wheels of CUDA on a machine of AMD; unchanged on any other.

    What ``doctor --fix`` brings back of a lockset is the lockset's own: it stays.
    """
    machine = facts_of(facts.machine)
    if not machine.rocm.gpus or machine.cuda.gpus:
        return remedy
    kept = tuple(line for line in remedy.commands if not _brings(line))
    fix = remedy.fix
    unfit = fix is not None and any(map(_is_cuda, fix.install))
    if len(kept) == len(remedy.commands) and not unfit:
        return remedy
    names = sorted({each for line in remedy.commands for each in _brings(line)} | set(filter(_is_cuda, _installs(fix))))
    text = (
        f"The index has {', '.join(names)} for CUDA alone: take it from a lockset for ROCm, with all that goes with it."
    )
    return Remedy(text, (*(() if unfit else kept), command("plan", "--stack", "vllm")), None if unfit else fix)


def _installs(fix: Fix | None) -> tuple[str, ...]:
    return () if fix is None else fix.install


def _brings(line: str) -> list[str]:
    """The subjects of an install command that the index has for CUDA alone."""
    own = line.partition(" pip ")[2] if line.startswith("verl-env") else ""
    parsed = package_command(f"pip {own[own.find('install') :]}" if "install " in own else line)
    if parsed is None or parsed.verb != "install" or "--index-url" in parsed.options:
        return []
    return list(filter(_is_cuda, parsed.subjects))


def _is_cuda(subject: str) -> bool:
    try:
        name = canonicalize_name(Requirement(subject).name)
    except InvalidRequirement:
        return False
    return name in CUDA_ONLY or name.startswith(_PREFIXES)
