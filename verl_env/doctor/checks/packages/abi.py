"""Compiled extensions against torch: symbols that nothing defines, and what their names say of the torch they want."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.binaries.symbols import TORCH
from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.checks.packages.abi_pins import pin_hit, repin
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.target import Shared

_SHOWN = 3
#: Where shared objects lie inside of site-packages, and whose they are; the first that fits decides.
_PACKAGED = (
    (r"^vllm/|(?:^|/)(?:_vllm_fa|_moe_C|_flashmla)", "vllm"),
    (r"sgl_kernel|common_ops", "sgl-kernel"),
    (r"flash_attn", "flash-attn"),
    (r"transformer_engine", "transformer-engine"),
    (r"torchvision", "torchvision"),
    (r"torchcodec", "torchcodec"),
    (r"torchaudio", "torchaudio"),
    (r"deep_ep", "deep-ep"),
    (r"^torch/|libtorch|libc10|^nvidia/|libcu|libnccl", "torch"),
)
#: Packages that catch the failure of their own extensions and go on without them.
_OPTIONAL = frozenset({"torchao", "torch-c-dlpack-ext"})

#: Symbols whose spelling tells which torch an extension was built for: pattern, catalogue row, what it says.
_TELLING: tuple[tuple[str, str, str], ...] = (
    (r"SourceLocationESs$|E?RKSs", "A2", "a torch with the old C++ ABI of libstdc++ (2.5 and older, 2.6+cu118/cu124)"),
    (r"NSt7__cxx11|5cxx11", "A2", "a torch with the new C++ ABI of libstdc++ (2.6+cu126, 2.7 and newer)"),
    (r"SetDeviceEi$", "A3", "torch 2.2 or older"),
    (r"SetDeviceEa$", "A3", "torch 2.3 to 2.7"),
    (r"SetDeviceEab$", "A3", "torch 2.8 or newer"),
    (r"N(?:3c10|S\d*_)8optional", "A4", "torch 2.2 or older"),
    (r"SymInt6sym_ne", "A5", "torch 2.8 or older (newer ones no longer export it)"),
)


def telling(symbols: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """The catalogue rows that symbols belong to, and in words the torch that they were built for."""
    for pattern, row, words in _TELLING:
        if any(re.search(pattern, symbol) for symbol in symbols):
            return (row,), words
    return (), None


def is_torch_symbol(symbol: str) -> bool:
    """Whether torch's libraries should define a symbol."""
    return TORCH.match(symbol.encode()) is not None


def broken_objects(facts: Facts, chosen: Callable[[Shared], bool]) -> list[tuple[Shared, list[str]]]:
    """The chosen objects that miss symbols of torch, each with them."""
    target = facts.target
    if target is None or not target.torch_libraries:
        return []
    shown = [shared for shared in target.objects if shared.elf and chosen(shared)]
    found = [(shared, target.missing_symbols(shared, TORCH)) for shared in shown]
    return [(shared, symbols) for shared, symbols in found if symbols]


def hit_of(facts: Facts, broken: Sequence[tuple[Shared, list[str]]], row: str, label: str) -> Hit | None:
    """The hit for objects of one package that miss symbols of torch."""
    if not broken or facts.target is None:
        return None
    symbols = [symbol for _, missing in broken for symbol in missing]
    rows, wanted = telling(symbols)
    lines = [
        f"{facts.target.relative(shared.path)}: {len(missing)} undefined symbols of torch, such as {missing[0]}"
        for shared, missing in broken[:_SHOWN]
    ]
    return _hit(facts, tuple(lines), label, (row, *rows), wanted)


def packaged_as(path: str) -> str | None:
    """The package that a shared object of a traceback belongs to; None for one that no check of its own names.

    Only what lies inside of site-packages says so: an environment may be called ``vllm`` as a whole.
    """
    inside = re.split(r"(?:site|dist)-packages/", path)[-1]
    inside = inside if inside != path else "/".join(path.split("/")[-2:])
    return next((name for pattern, name in _PACKAGED if re.search(pattern, inside)), None)


def log_hit(row: str, label: str, *packages: str | None) -> Callable[[Facts, re.Match[str]], Hit | None]:
    """Reads the undefined symbol of an import error; symbols that are not torch's are another failure.

    Args:
        row: The catalogue's row.
        label: How the package is called.
        packages: What ``packaged_as`` must say of the object that misses it.
    """

    def read(facts: Facts, match: re.Match[str]) -> Hit | None:
        symbol = match["symbol"]
        if not is_torch_symbol(symbol) or packaged_as(match["path"]) not in packages:
            return None
        rows, wanted = telling([symbol])
        return _hit(facts, (), label, (row, *rows), wanted)

    return read


def _hit(facts: Facts, evidence: tuple[str, ...], label: str, rows: tuple[str, ...], wanted: str | None) -> Hit:
    torch = facts.named("torch") if facts.installed("torch") else "the installed torch"
    cause = f"{label} was compiled for another torch than {torch}"
    cause += f": its symbols are those of {wanted}." if wanted else "."
    more = (torch,) if facts.installed("torch") else ()
    return Hit((*evidence, *more), f"{label} does not fit {torch}", cause, covers=tuple(dict.fromkeys(rows)))


def rebuild(name: str, note: str = "") -> Callable[[Facts], Remedy]:
    """The remedy of an extension that is compiled against torch: take or build it for the torch that is there."""

    def build(facts: Facts) -> Remedy:
        version = facts.version(name)
        wanted = f"{name}=={version.public}" if version else name
        text = f"Reinstall {name} for the torch that is there, last, without its dependencies.{note}"
        return remedy(facts.shell, text, Fix(install=(wanted,), reinstall=True, build=True), safe=False)

    return build


@finds("flash-attn-abi")
def _flash_attn(facts: Facts) -> Hit | None:
    broken = broken_objects(facts, lambda shared: "flash_attn" in shared.path and not _bundled(shared))
    return hit_of(facts, broken, "A1", "flash-attn") or _flash_attn_tag(facts)


def _flash_attn_tag(facts: Facts) -> Hit | None:
    """The wheel's own name says which torch it is for (``+cu12torch2.6cxx11abiFALSE``)."""
    text = f"{facts.urls.get('flash-attn', '')} {facts.packages.get('flash-attn') or ''}"
    match = re.search(r"torch(\d\.\d+)", text.replace("%2B", "+"))
    torch = facts.version("torch")
    if match is None or torch is None:
        return None
    evidence = (f"flash-attn from {text.strip()}", facts.named("torch"))
    if f"{torch.major}.{torch.minor}" == match[1]:
        return _forced_abi(facts, text, evidence)
    return Hit(evidence, f"flash-attn is built for torch {match[1]}, but torch {torch} is installed", covers=("A1",))


def _forced_abi(facts: Facts, text: str, evidence: tuple[str, ...]) -> Hit | None:
    """A wheel with the new C++ ABI beside a torch with the old one; ``FALSE`` in a name says nothing."""
    from verl_env.machine.wheel_tables import torch_abis  # noqa: PLC0415  reads a file

    if "cxx11abiTRUE" not in text or facts.cuda is None:
        return None
    build = f"cu{facts.cuda.replace('.', '')}"
    rows = [
        row for row in torch_abis() if facts.matches("torch", row.torch) and (not row.builds or build in row.builds)
    ]
    if not rows or any(row.cxx11abi for row in rows):
        return None
    title = f"flash-attn has the new C++ ABI, {facts.named('torch')} the old one"
    return Hit(evidence, title, covers=("A1", "A2"))


def _bundled(shared: Shared) -> bool:
    """Whether an engine ships this copy of flash attention in its own wheel."""
    return shared.owner in {"vllm", "sgl-kernel", "sglang-kernel", "sglang"}


@finds("vllm-abi")
def _vllm(facts: Facts) -> Hit | None:
    broken = broken_objects(facts, lambda shared: shared.owner == "vllm" or "/vllm/" in shared.path)
    return hit_of(facts, broken, "A6", "vLLM") or (None if facts.target else pin_hit(facts, "vllm", "A6"))


def _owned(row: str, label: str, *owners: str) -> Callable[[Facts], Hit | None]:
    def find(facts: Facts) -> Hit | None:
        return hit_of(facts, broken_objects(facts, lambda shared: shared.owner in owners), row, label)

    return find


_NAMED = frozenset(
    {
        "flash-attn",
        "vllm",
        "sgl-kernel",
        "sglang-kernel",
        "transformer-engine-torch",
        "transformer-engine",
        "torchvision",
        "torchcodec",
        "torch",
    }
)


@finds("extension-abi")
def _others(facts: Facts) -> Hit | None:
    def other(shared: Shared) -> bool:
        return shared.owner not in _NAMED and "flash_attn" not in shared.path and "/vllm/" not in shared.path

    broken = _without_variants(facts, broken_objects(facts, other))
    needed = [(shared, symbols) for shared, symbols in broken if shared.owner not in _OPTIONAL]
    names = sorted({shared.owner or shared.path.rpartition("/")[2] for shared, _ in needed or broken})
    hit = hit_of(facts, needed or broken, "A1", ", ".join(names))
    return hit if needed or hit is None else replace(hit, severity="info", cause=f"{hit.cause} {_GOES_ON}")


_GOES_ON = "It catches the failure and goes on without its own kernels."


def _without_variants(facts: Facts, broken: Sequence[tuple[Shared, list[str]]]) -> list[tuple[Shared, list[str]]]:
    """The broken objects without those that a package brings once for each release of torch and chooses from."""
    paths = {shared.path for shared, _ in broken}
    whole = {_variant_of(one.path) for one in (facts.target.objects if facts.target else ()) if one.path not in paths}
    return [(shared, symbols) for shared, symbols in broken if _variant_of(shared.path) not in whole]


def _variant_of(path: str) -> str:
    """The name that variants of one library share: that without its numbers."""
    return re.sub(r"\d+", "", path)


mends("flash-attn-abi")(rebuild("flash-attn", " Pin torch by a constraint, so that no later install changes it."))
reads("flash-attn-abi")(log_hit("A1", "flash-attn", "flash-attn"))
mends("vllm-abi")(repin("vllm"))
reads("vllm-abi")(log_hit("A6", "vLLM", "vllm"))
mends("sgl-kernel-abi")(repin("sgl-kernel"))
finds("sgl-kernel-abi")(_owned("A7", "sgl-kernel", "sgl-kernel", "sglang-kernel"))
reads("sgl-kernel-abi")(log_hit("A7", "sgl-kernel", "sgl-kernel"))
mends("transformer-engine-abi")(rebuild("transformer-engine-torch", " Set NVTE_FRAMEWORK=pytorch for the build."))
finds("transformer-engine-abi")(_owned("A8", "TransformerEngine", "transformer-engine-torch", "transformer-engine"))
reads("transformer-engine-abi")(log_hit("A8", "TransformerEngine", "transformer-engine"))
reads("extension-abi")(log_hit("A1", "An extension", "torchaudio", None))
