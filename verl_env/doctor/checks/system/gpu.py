"""The architecture of the GPUs against the code that packages hold for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.binaries.elf import ElfError
from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.model import Hit, Remedy
from verl_env.machine.gpu_code import Fit, cuda_code
from verl_env.versions import at_least

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.binaries.cubin import Architectures
    from verl_env.doctor.facts import Facts
    from verl_env.doctor.target import Shared

_EXTENSIONS = frozenset({"vllm", "flash-attn", "sgl-kernel", "sglang-kernel", "transformer-engine-torch", "xformers"})
_SHOWN = 4
_DRIFT = frozenset({"8.0", "8.9", "10.0"})


def torch_targets(facts: Facts) -> tuple[tuple[str, ...], bool] | None:
    """The compute capabilities that the installed torch is compiled for, and whether the last is there as PTX."""
    from verl_env.machine.wheel_tables import torch_wheels  # noqa: PLC0415  reads a file

    torch = facts.version("torch")
    arch = facts.machine.host.arch or "x86_64"
    if torch is None or facts.cuda is None:
        return None
    release, build = f"{torch.major}.{torch.minor}", f"cu{facts.cuda.replace('.', '')}"
    for row in torch_wheels():
        if release in row.torch and row.cuda in {build, facts.cuda} and row.arch == arch:
            return row.sm, bool(row.ptx)
    return None


def _runs(capability: str, targets: tuple[str, ...], *, ptx: bool) -> bool:
    """Whether code for some targets runs on a GPU; of a torch that has PTX it is that of the last."""
    return cuda_code(targets, targets[-1:] if ptx else (), capability) is not Fit.NONE


@finds("torch-gpu-architecture")
def _torch(facts: Facts) -> Hit | None:
    known = torch_targets(facts)
    if known is None:
        return None
    targets, ptx = known
    lost = [value for value in facts.capabilities if not _runs(value, targets, ptx=ptx)]
    if not lost:
        return None
    evidence = (f"compute capability {lost[0]}", f"{facts.named('torch')} is compiled for {', '.join(targets)}")
    return Hit(evidence, f"torch has no code for compute capability {lost[0]}")


@reads("torch-gpu-architecture")
def _torch_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """No kernel image: torch's fault unless torch is known to have code for this GPU."""
    if "current PyTorch installation" in match[0]:
        return Hit((), covers=("H1",))
    if _torch_covers(facts):
        return None
    known = facts.capabilities and torch_targets(facts)
    return Hit((), None if known else "What runs here has no code for this GPU", covers=("H1", "H2"))


def _torch_covers(facts: Facts) -> bool:
    """Whether torch has code for every GPU: every build for CUDA has some for 8.0 to 9.0."""
    known = torch_targets(facts)
    if not facts.capabilities:
        return False
    if known is None:
        return all(at_least(value, "8.0") and at_least("9.0", value) for value in facts.capabilities)
    return all(_runs(value, known[0], ptx=known[1]) for value in facts.capabilities)


@mends("torch-gpu-architecture")
def _newer_torch(facts: Facts) -> Remedy:
    gpu = f"sm_{facts.capabilities[0].replace('.', '')}" if facts.capabilities else "NAME"
    text = "Take a build that has code for this GPU: Blackwell needs CUDA 12.8 or newer, Volta CUDA 12 builds."
    return Remedy(text, (f"verl-env plan --stack vllm --gpu {gpu} --explain",))


def _extension_objects(facts: Facts) -> Iterator[Shared]:
    for shared in facts.target.objects if facts.target else ():
        if shared.elf and (shared.owner in _EXTENSIONS or "flash_attn_2" in shared.path):
            yield shared


@finds("extension-gpu-architecture")
def _extensions(facts: Facts) -> Hit | None:
    """Objects whose fat binaries hold nothing that runs on one of the GPUs."""
    target = facts.target
    if target is None or not facts.capabilities:
        return None
    read = [(shared, found) for shared in _extension_objects(facts) if (found := _architectures(shared))]
    lines = []
    for capability in facts.capabilities:
        run = {shared.owner for shared, found in read if _has_code(found, capability)}
        for shared, found in read:
            if not _has_code(found, capability) and not _for_others(shared, found, capability, run):
                have = ", ".join(sorted(found.sass | {f"{ptx} (PTX)" for ptx in found.ptx}))
                lines.append(f"{target.relative(shared.path)} has {have}; not {capability}")
    return Hit(tuple(lines[:_SHOWN])) if lines else None


def _has_code(found: Architectures, capability: str) -> bool:
    return cuda_code(found.sass, found.ptx, capability) is not Fit.NONE


def _architectures(shared: Shared) -> Architectures | None:
    """What an object's fat binary is compiled for; None where there is none or it cannot be read."""
    from verl_env.binaries.cubin import read_architectures  # noqa: PLC0415  needed on GPU nodes only

    try:
        return read_architectures(shared.path)
    except (ElfError, OSError):
        return None


def _for_others(shared: Shared, found: Architectures, capability: str, run: set[str | None]) -> bool:
    """Whether a package loads an object on other GPUs only: by its name, or as its code is all for newer ones."""
    if "fa3" in shared.path.lower() or re.search(r"/sm\d+/", shared.path):
        return True
    newer = all(at_least(target, capability) for target in found.sass | found.ptx)
    return newer and shared.owner in run


@reads("extension-gpu-architecture")
def _extensions_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    del match
    if not _torch_covers(facts):
        return None
    known = torch_targets(facts)
    return Hit((f"torch itself is compiled for {', '.join(known[0])}",) if known else ())


@finds("flash-attn-needs-ampere")
def _ampere(facts: Facts) -> Hit | None:
    old = [value for value in facts.capabilities if not at_least(value, "8.0")]
    if not old or not facts.installed("flash-attn"):
        return None
    return Hit((f"compute capability {old[0]}", facts.named("flash-attn")))


@finds("flash-attn-3-gpu")
def _fa3(facts: Facts) -> Hit | None:
    wanted = facts.variable("VLLM_FLASH_ATTN_VERSION")
    other = [value for value in facts.capabilities if not value.startswith("9.") and value not in {"8.0", "8.7"}]
    if wanted != "3" or not other:
        return None
    return Hit((f"VLLM_FLASH_ATTN_VERSION={wanted}", f"compute capability {other[0]}"), severity="warning")


@finds("sgl-kernel-variant")
def _variant(facts: Facts) -> Hit | None:
    """sgl_kernel ships operators by architecture in directories ``sm90``, ``sm100``."""
    target = facts.target
    folder = target.site / "sgl_kernel" if target else None
    variants = sorted(path.name for path in folder.glob("sm*") if path.is_dir()) if folder else []
    if not variants or not facts.capabilities:
        return None
    lost = [value for value in facts.capabilities if not _has_variant(value, variants)]
    if not lost:
        return None
    return Hit((f"sgl_kernel has {', '.join(variants)}", f"compute capability {lost[0]}"), severity="warning")


def _has_variant(capability: str, variants: list[str]) -> bool:
    """``sm90`` serves 9.x and older, ``sm100`` everything newer (sgl_kernel's own choice)."""
    return ("sm90" if not at_least(capability, "10.0") else "sm100") in variants


@reads("sgl-kernel-variant")
def _variant_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    tried = match["variant"]
    if not facts.capabilities or any(value.replace(".", "").startswith(tried[:-1]) for value in facts.capabilities):
        return None
    return Hit((f"compute capability {facts.capabilities[0]}",))


@finds("arch-list")
def _arch_list(facts: Facts) -> Hit | None:
    value = facts.variable("TORCH_CUDA_ARCH_LIST")
    if value is None or not facts.capabilities:
        return None
    numbers = re.findall(r"(\d{1,2}\.\d)[af]?(\+PTX)?", value)
    targets = tuple(number for number, _ in numbers)
    ptx = any(mark for _, mark in numbers)
    lost = [capability for capability in facts.capabilities if targets and not _runs(capability, targets, ptx=ptx)]
    if not lost:
        return None
    return Hit((f"TORCH_CUDA_ARCH_LIST={value}", f"compute capability {lost[0]}"), severity="warning")


@finds("device-connections")
def _connections(facts: Facts) -> Hit | None:
    if facts.variable("CUDA_DEVICE_MAX_CONNECTIONS") != "1":
        return None
    blackwell = [value for value in facts.capabilities if at_least(value, "10.0")]
    if not blackwell and not facts.absent("megatron-core"):
        return None
    why = f"compute capability {blackwell[0]}" if blackwell else "megatron-core is not installed"
    return Hit(("CUDA_DEVICE_MAX_CONNECTIONS=1", why), severity="info")


@finds("cascade-attention")
def _drift(facts: Facts) -> Hit | None:
    there = [value for value in facts.capabilities if value in _DRIFT]
    if not there or not facts.matches("vllm", ">=0.8,<=0.10.2") or not facts.installed("verl"):
        return None
    return Hit((facts.named("vllm"), f"compute capability {there[0]}"), severity="info")


@finds("devices-hidden")
def _hidden(facts: Facts) -> Hit | None:
    """CUDA_VISIBLE_DEVICES names no device of this machine."""
    value, nvidia = facts.variable("CUDA_VISIBLE_DEVICES"), facts.machine.nvidia
    if value is None or not nvidia or not nvidia.devices:
        return None
    uuids = [str(device.uuid or "") for device in nvidia.devices]
    if any(_is_device(part.strip(), len(uuids), uuids) for part in value.split(",")[:1]):
        return None
    return Hit((f"CUDA_VISIBLE_DEVICES={value}", f"this machine has {len(uuids)} devices"))


def _is_device(name: str, count: int, uuids: list[str]) -> bool:
    """Whether CUDA finds a device by an index, or by the beginning of its UUID where UUIDs are known."""
    if name.isdigit():
        return int(name) < count
    return name.startswith(("GPU-", "MIG-")) and (not all(uuids) or any(uuid.startswith(name) for uuid in uuids))
