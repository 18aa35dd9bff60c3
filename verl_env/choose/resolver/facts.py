"""The facts that ways require, and whether one meets a condition."""

from __future__ import annotations

from verl_env.choose.compare import reaches, release_matches
from verl_env.choose.fits import cuda_fit, gfx_fit
from verl_env.choose.resolver.model import Fact
from verl_env.locksets.model import GpuNeed
from verl_env.machine.gpu_code import Fit
from verl_env.machine.model import UNKNOWN, Toolchain
from verl_env.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.choose.facts import MachineFacts, VendorGpus
    from verl_env.choose.resolver.model import Need, Value

CAPABILITY, GFX = "<compute-capability>", "<gfx>"
PYTHON, TORCH, CUDA, ROCM, ABI = "<python>", "<torch>", "<cuda>", "<rocm>", "<cxx11abi>"
ARCH, GLIBC, HEADERS = "<arch>", "<glibc>", "<python.h>"
#: Stands for what an address is needed for: no machine has it, so that what needs it cannot be had.
REACH = "<reach>"
#: Tools that the probe knows, by the names that recipes use.
TOOLS = {"nvcc": "nvcc", "gcc": "gcc", "g++": "gxx", "hipcc": "hipcc", "cmake": "cmake", "ninja": "ninja"}
#: Facts whose values are releases: ``2.6`` stands for every 2.6.x.
_RELEASES = {TORCH, CUDA, ROCM}


def tool_fact(name: str) -> str:
    """The fact that a tool is: ``<nvcc>``."""
    return f"<{name}>"


def machine_facts(facts: MachineFacts) -> Mapping[str, Fact]:
    """Every fact of a machine that a way may require; the others are set by environments."""
    host, toolchain = facts.machine.host, facts.machine.toolchain
    tools = toolchain if isinstance(toolchain, Toolchain) else Toolchain()
    values: dict[str, Value] = {ARCH: host.arch, GLIBC: host.glibc}
    values |= {tool_fact(name): getattr(tools, attribute) for name, attribute in TOOLS.items()}
    values |= {CAPABILITY: _targets(facts.cuda), GFX: _targets(facts.rocm), REACH: None}
    return {name: Fact(name, value) for name, value in values.items()}


def met(need: Need, value: Value) -> bool | None:
    """Whether a value meets a condition; None where that is not known. What is absent meets none."""
    if value is UNKNOWN:
        return None
    if need.perhaps:
        return met(replace(need, perhaps=False), value) or None
    if value is None:
        return False
    if isinstance(value, tuple):
        return all(_runs(need, target) for target in value)
    if need.among:
        return any(_is(need.name, value, wanted) for wanted in need.among)
    return _between(value, need.least, need.below)


def _targets(side: VendorGpus) -> Value:
    return tuple(gpus.target for gpus in side.gpus) or UNKNOWN


def _is(name: str, value: str, wanted: str) -> bool:
    return release_matches(value, wanted) if name in _RELEASES else value == wanted


def _runs(need: Need, target: str) -> bool:
    code = GpuNeed(component="", targets=need.among, minimum=need.least, ptx=False, source="")
    fit = cuda_fit if need.name == CAPABILITY else gfx_fit
    return fit(code, target) is Fit.NATIVE


def _between(value: str, least: str | None, below: str | None) -> bool | None:
    """Whether a version lies in a range; None where it cannot be read."""
    enough = True if least is None else reaches(value, least)
    beyond = False if below is None else reaches(value, below)
    if enough is None or beyond is None:
        return None
    return enough and not beyond
