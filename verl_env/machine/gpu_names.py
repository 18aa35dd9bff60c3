"""What a GPU that a user names stands for: ``h100:8``, ``mi300x``, ``NVIDIA A100-SXM4-80GB``, ``sm_90``, ``gfx942``."""

from __future__ import annotations

import re
from functools import cache

from verl_env.machine.errors import GpuCountError, GpuUnknownError
from verl_env.machine.tables import GpuName, amd_gfx, gpu_names, nvidia_pci_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_COUNT = 1024

_VENDOR_WORDS = {"nvidia", "geforce", "tesla", "amd", "instinct"}
_SM = re.compile(r"(?:sm|compute)[-_ ]?(\d{1,2})(\d)[af]?")
_GFX = re.compile(r"gfx(?:[6-9]|1\d)[0-9a-f]{2}")


def parse_gpu(text: str) -> tuple[GpuName, int]:
    """The GPU and the number of a ``NAME[:COUNT]``.

    Raises:
        GpuUnknownError: nothing is known by this name.
        GpuCountError: the count is not a whole number from 1 to 1024.
    """
    name, colon, count = (part.strip() for part in text.partition(":"))
    gpu = find_gpu(name)
    if not colon:
        return gpu, 1
    if not (count.isascii() and count.isdigit() and len(count) <= len(str(MAX_COUNT)) and 1 <= int(count) <= MAX_COUNT):
        raise GpuCountError(text, gpu.name, MAX_COUNT)
    return gpu, int(count)


def find_gpu(name: str) -> GpuName:
    """The GPU that a name, an ``sm_NN`` or a ``gfxNNN`` stands for; the latter two are products of no name.

    Raises:
        GpuUnknownError: nothing is known by this name; the error lists the nearest.
    """
    lower = name.lower()
    if match := _SM.fullmatch(lower):
        return GpuName(name=lower, product="", src=(), compute_capability=f"{match[1]}.{match[2]}")
    if _GFX.fullmatch(lower):
        return GpuName(name=lower, product="", src=(), gfx=lower)
    key = _key(name)
    gpu = _by_key().get(key) or _by_product(key)
    if gpu is None:
        raise GpuUnknownError(name, _nearest(key))
    return gpu


def _key(name: str) -> str:
    """A name without case, separators and the vendor's words, ``80g`` read as ``80gb``."""
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).split()
    return re.sub(r"(?<=\d)g$", "gb", "".join(word for word in words if word not in _VENDOR_WORDS))


@cache
def _by_key() -> Mapping[str, GpuName]:
    return {_key(name): gpu for gpu in gpu_names() for name in (gpu.name, *gpu.aliases)}


def _by_product(key: str) -> GpuName | None:
    """A GPU by the name that its driver prints, from the table of PCI ids."""
    for row in nvidia_pci_ids().values():
        for product in row.names:
            if _key(product) == key:
                return GpuName(name=product, product=product, src=row.src, compute_capability=row.compute_capability)
    return None


def _nearest(key: str) -> list[str]:
    """Known names that begin alike or look alike, best first."""
    from difflib import get_close_matches  # noqa: PLC0415  (only an error needs it)

    if key.startswith("gfx"):
        return get_close_matches(key, amd_gfx(), n=8)
    names = _by_key()
    begin = sorted((known for known in names if key and known.startswith(key)), key=len)[:4]
    alike = [*begin, *get_close_matches(key, names, n=6, cutoff=0.65)]
    return list(dict.fromkeys(names[known].name for known in alike))[:6]
