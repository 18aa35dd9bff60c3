"""Which GPUs compiled code runs on: machine code and PTX by compute capability, code by gfx target."""

from __future__ import annotations

from enum import Enum

from verl_env.machine.tables import capabilities
from verl_env.versions import capability

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: What code for a generic target runs on. Source: LLVM, User Guide for AMDGPU Backend, generic processors.
_GENERIC = {
    "gfx9-generic": frozenset({"gfx900", "gfx902", "gfx904", "gfx906", "gfx909", "gfx90c"}),
    "gfx9-4-generic": frozenset({"gfx940", "gfx941", "gfx942", "gfx950"}),
}


class Fit(Enum):
    """How code runs on a GPU: as it was made for it, as PTX that the driver compiles, or not."""

    NONE = 0
    PTX = 1
    NATIVE = 2


def cuda_code(sass: Iterable[str], ptx: Iterable[str], target: str) -> Fit:
    """How code runs on a compute capability that has machine code for some capabilities and PTX of some.

    Code for a capability runs on every later minor of the same major, except code of architecture-specific targets
    (``9.0a``), which runs on that capability alone. PTX can be compiled for anything later.
    Source: CUDA C++ Programming Guide, "Application Compatibility". Where the table of capabilities says so (Rubin),
    only code that was made for the capability counts.
    """
    have = capability(target)
    if have is None:
        return Fit.NONE
    own = needs_own_code(target)
    made = [parsed for parsed in map(capability, sass) if parsed is not None]
    if any(parsed[:2] == have[:2] if own else _runs(parsed, have) for parsed in made):
        return Fit.NATIVE
    source = [parsed for parsed in map(capability, ptx) if parsed is not None]
    return Fit.PTX if any(parsed[2] != "a" and parsed[:2] <= have[:2] for parsed in source) else Fit.NONE


def needs_own_code(target: str) -> bool:
    """Whether only code made for a compute capability is known to run there."""
    row = capabilities().get(target)
    return row is not None and row.own_code


def gfx_code(targets: Collection[str], target: str) -> bool:
    """Whether code for some of these targets runs on a GPU; one gfx target's code runs on no other."""
    return target in targets or any(target in _GENERIC.get(each, ()) for each in targets)


def _runs(code: tuple[int, int, str], have: tuple[int, int, str]) -> bool:
    if code[2] == "a":
        return code[:2] == have[:2]
    return code[0] == have[0] and code[1] <= have[1]
