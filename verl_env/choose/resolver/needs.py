"""What a wheel and what a build requires, as conditions on facts."""

from __future__ import annotations

from verl_env.choose.compare import minor_release, reaches
from verl_env.choose.resolver.facts import (
    ABI,
    ARCH,
    CAPABILITY,
    CUDA,
    GFX,
    GLIBC,
    HEADERS,
    PYTHON,
    ROCM,
    TOOLS,
    TORCH,
    met,
    tool_fact,
)
from verl_env.choose.resolver.model import Fact, Need
from verl_env.choose.words import sm
from verl_env.components.toolchain import gcc_below, needs_nvcc, nvcc_fits, toolkit_for
from verl_env.versions import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol

    from verl_env.components.model import Catalogue, Recipe, Release, Tool, Wheel
    from verl_env.locksets.model import Accelerator

    class Accelerated(Protocol):
        """What a build is for, of a lockset or of any torch: the accelerator and its release, where that is known."""

        @property
        def accelerator(self) -> Accelerator: ...
        @property
        def cuda(self) -> str | None: ...
        @property
        def rocm(self) -> str | None: ...


NVCC, GCC = tool_fact("nvcc"), tool_fact("gcc")


def wheel_needs(wheel: Wheel, accelerator: Accelerator) -> tuple[Need, ...]:
    """What a published wheel requires, the conditions first that tell most.

    A wheel that nobody has measured may require the glibc of the system that it was made on, and none newer.
    """
    gpus = CAPABILITY if accelerator == "cuda" else GFX
    abi = None if wheel.cxx11abi is None else abi_value(cxx11abi=wheel.cxx11abi)
    stated = [
        (TORCH, (wheel.torch, *wheel.torch_also) if wheel.torch else None),
        (CUDA, wheel.cuda),
        (ROCM, wheel.rocm),
        (ARCH, wheel.arch),
        (PYTHON, wheel.pythons),
        (ABI, abi),
        (gpus, wheel.gpus),
    ]
    needs = [Need(name, among=(value,) if isinstance(value, str) else value) for name, value in stated if value]
    if wheel.glibc:
        needs.append(Need(GLIBC, least=wheel.glibc))
    elif wheel.built_on_glibc:
        needs.append(Need(GLIBC, least=wheel.built_on_glibc, perhaps=True))
    return tuple(needs)


def recipe_needs(
    recipe: Recipe, release: Release, lockset: Accelerated, catalogue: Catalogue, machine: Mapping[str, Fact]
) -> tuple[Need, ...]:
    """What a build requires of the machine; its headers and libraries are looked for before it begins.

    Where the index has a compiler that does (``compiler_of_index``), none of the machine is required.
    """
    ours = compiler_of_index(recipe, lockset, catalogue, machine)
    nvcc = machine[NVCC] if ours is None else Fact(NVCC, ours)
    asked = [tool for tool in recipe.tools if not _comes_along(tool, recipe)]
    needs = [need for tool in asked for need in _tool(tool, lockset) if not _is_met(need, ours)]
    if recipe.cuda is not None:
        needs.append(Need(CUDA, among=(recipe.cuda,)))
    if release.minimum_gpu is not None and recipe.arch_variable is not None:
        gpus = CAPABILITY if lockset.accelerator == "cuda" else GFX
        needs.append(Need(gpus, least=release.minimum_gpu, why="its sources"))
    if any(tool.name == "nvcc" for tool in recipe.tools):
        needs += _host_compiler(catalogue, nvcc)
        compilable = _compilable(catalogue, machine[CAPABILITY], lockset) if recipe.arch_variable is not None else ()
        needs += (need for need in compilable if not _is_met(need, ours))
    if recipe.tools and recipe.product == "wheel":
        needs.append(Need(HEADERS, among=("yes",)))
    return tuple(needs)


def compiler_of_index(
    recipe: Recipe, lockset: Accelerated, catalogue: Catalogue, machine: Mapping[str, Fact]
) -> str | None:
    """The version of the nvcc that the index gives to a build: where there is one, and the machine's does not fit."""
    if not needs_nvcc(recipe) or lockset.cuda is None:
        return None
    have, arch = machine[NVCC].value, machine[ARCH].value
    if isinstance(have, str) and nvcc_fits(have, lockset.cuda, (recipe,)):
        return None
    toolkit = toolkit_for(catalogue, lockset.cuda, arch if isinstance(arch, str) else None)
    return toolkit.nvcc if toolkit is not None else None


def _is_met(need: Need, ours: str | None) -> bool:
    """Whether the compiler of the index meets a condition."""
    return need.name == NVCC and ours is not None and met(need, ours) is True


def abi_value(*, cxx11abi: bool) -> str:
    """The C++ ABI as torch and the names of wheels write it."""
    return "TRUE" if cxx11abi else "FALSE"


def _comes_along(tool: Tool, recipe: Recipe) -> bool:
    """Whether a tool is put into the build environment with the Python packages, as cmake and ninja can be."""
    return any(requirement.partition("=")[0].rstrip("<>!~ ") == tool.name for requirement in recipe.requires)


def _tool(tool: Tool, lockset: Accelerated) -> Iterator[Need]:
    if tool.name not in TOOLS:
        return
    name, kind = tool_fact(tool.name), ROCM if tool.same_major_as == "rocm" else CUDA
    release = numbers((lockset.rocm if kind == ROCM else lockset.cuda) or "")
    if tool.same_major_as is None:
        yield Need(name, least=tool.minimum, below=tool.below, why=tool.reason)
        return
    if release is None:
        yield Need(kind, least="0")
        return
    same = release[: 2 if tool.exact else 1]
    least, below = ".".join(map(str, same)), ".".join(map(str, (*same[:-1], same[-1] + 1)))
    why = f"torch of the lock is of {'ROCm' if kind == ROCM else 'CUDA'} {'.'.join(map(str, release))}"
    yield Need(name, least=least, below=below, why=why)
    later = tool.minimum is not None and reaches(least, tool.minimum) is False
    if later or (tool.below is not None and reaches(tool.below, below) is False):
        yield Need(name, least=tool.minimum, below=tool.below, why=tool.reason)


def _host_compiler(catalogue: Catalogue, nvcc: Fact) -> Iterator[Need]:
    """The gcc that this nvcc takes; nothing where its release is in no row of the table."""
    if isinstance(nvcc.value, str):
        below = gcc_below(catalogue, nvcc.value)
        if below is not None:
            yield Need(GCC, below=below, why=f"nvcc {minor_release(nvcc.value)} takes no newer one")


def _compilable(catalogue: Catalogue, gpus: Fact, lockset: Accelerated) -> Iterator[Need]:
    """The releases of nvcc that can make code for each GPU of the machine, where not each of the lock's CUDA can."""
    major = (lockset.cuda or "0").partition(".")[0]
    for target in gpus.value if isinstance(gpus.value, tuple) else ():
        row = next((each for each in catalogue.capabilities if each.capability == target), None)
        if row is not None and (row.maximum or (row.minimum and reaches(major, row.minimum) is False)):
            below = _next_release(row.maximum) if row.maximum else None
            yield Need(NVCC, least=row.minimum, below=below, why=f"to compile for {sm(target)}")


def _next_release(text: str) -> str | None:
    """``"12.10"`` for ``"12.9"``: the first release that is no longer of it."""
    parts = numbers(text)
    return ".".join(map(str, (*parts[:-1], parts[-1] + 1))) if parts else None
