"""Compilers and what is compiled at run time: triton, FlashInfer, torch extensions, source builds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.versions import at_least, is_dotted

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_COMPANIONS = ("flashinfer-cubin", "flashinfer-jit-cache")
#: GPUs that the ptxas of triton 3.5 and older does not know (triton#8539).
_NEW_TO_TRITON = frozenset({"10.3", "11.0", "12.1"})

#: A path that says the same to every shell.
_PLAIN = re.compile(r"/[\w./+-]+")


def nvcc_version(facts: Facts) -> str | None:
    """The release of nvcc, where it is known and a dotted number."""
    toolchain = facts.machine.toolchain
    nvcc = toolchain.nvcc if toolchain else None
    return nvcc if nvcc and is_dotted(nvcc) else None


def no_nvcc(facts: Facts) -> bool:
    """Whether there is known to be no nvcc."""
    toolchain = facts.machine.toolchain
    return bool(toolchain and toolchain.nvcc is None)


@finds("python-gone")
def _python(facts: Facts) -> Hit | None:
    python = None if facts.target is None else facts.target.interpreter
    if python is None or not python.is_symlink():
        return None
    try:
        python.stat()
    except OSError as error:
        return Hit((f"{python} leads to {python.readlink()}: {error.strerror}",))
    return None


@finds("python-headers")
def _python_h(facts: Facts) -> Hit | None:
    target = facts.target
    if target is None:
        return None
    base = Path(target.config["home"]).parent if "home" in target.config else target.prefix
    header = base / "include" / f"python{target.python}" / "Python.h"
    # Its directory may be closed to this user, which Path.exists raises.
    return None if os.path.exists(header) else Hit((f"{header} is not there",), severity="warning")  # noqa: PTH110


@finds("c-compiler-missing")
def _no_compiler(facts: Facts) -> Hit | None:
    tools = facts.host.tools
    if tools is None or facts.variable("CC") or any(tools.get(name) for name in ("gcc", "cc", "clang")):
        return None
    return Hit(("PATH has no gcc, cc or clang, and CC is not set",), severity="warning")


@finds("nvcc-missing")
def _no_nvcc(facts: Facts) -> Hit | None:
    if not facts.installed("flashinfer-python") or not facts.absent("flashinfer-jit-cache") or not no_nvcc(facts):
        return None
    if facts.variable("VLLM_USE_FLASHINFER_SAMPLER") == "0" or not facts.has_nvidia_gpu:
        return None
    return Hit((facts.named("flashinfer-python"), "no nvcc was found"), severity="warning")


@finds("nvcc-headers")
def _nvcc_headers(facts: Facts) -> Hit | None:
    """The compiler wheel and the runtime wheel are of different minor releases."""
    compiler, runtime = facts.version("nvidia-cuda-nvcc"), facts.version("nvidia-cuda-runtime")
    if compiler is None or runtime is None or (compiler.major, compiler.minor) == (runtime.major, runtime.minor):
        return None
    home = facts.variable("CUDA_HOME") or ""
    evidence = (facts.named("nvidia-cuda-nvcc"), facts.named("nvidia-cuda-runtime"))
    if "nvidia/cu13" in home:
        return Hit((*evidence, f"CUDA_HOME={home}"))
    return Hit(evidence, severity="info")


@finds("cuda-home")
def _cuda_home(facts: Facts) -> Hit | None:
    home = facts.variable("CUDA_HOME")
    if home is None:
        return None
    if ":" in home:
        return Hit((f"CUDA_HOME={home}",))
    if facts.target is not None and not Path(home).is_dir():
        return Hit((f"CUDA_HOME={home}, which is not there",), severity="warning")
    return None


@mends("cuda-home")
def _set_cuda_home(facts: Facts) -> Remedy:
    parts = [part for part in (facts.variable("CUDA_HOME") or "").split(":") if part]
    named = parts[-1] if parts and _PLAIN.fullmatch(parts[-1]) else "/usr/local/cuda"
    return Remedy("Name one directory.", (f"export CUDA_HOME={named}",))


@finds("toolkit-before-sm120")
def _old_toolkit(facts: Facts) -> Hit | None:
    nvcc = nvcc_version(facts)
    if "12.0" not in facts.capabilities or nvcc is None or at_least(nvcc, "12.9"):
        return None
    if not facts.installed("flashinfer-python"):
        return None
    return Hit(("compute capability 12.0", f"nvcc {nvcc}", facts.named("flashinfer-python")), severity="warning")


@reads("toolkit-before-sm120")
def _old_toolkit_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    if "equires" in match[0]:
        return _no_architecture_left(facts, match)
    known = "Unsupported gpu" in match[0]
    return Hit((), None if known else "nvcc is older than the sources that it compiles")


def _no_architecture_left(facts: Facts, match: re.Match[str]) -> Hit | None:
    """FlashInfer leaves out what its CUDA does not know; for a GPU that has enough, the CUDA is the reason."""
    new = [value for value in facts.capabilities if value.startswith("12.")]
    if not new and "12.x" not in match[0]:
        return None
    cuda = nvcc_version(facts) or facts.cuda
    told = (f"compute capability {new[0]}",) if new else ()
    lines = (*told, f"CUDA {cuda}, needed: 12.9") if cuda else told
    return Hit(lines, "CUDA is too old for this GPU: 12.x is known from CUDA 12.9 on", severity="error")


@finds("ptxas-too-old")
def _ptxas(facts: Facts) -> Hit | None:
    new = [value for value in facts.capabilities if value in _NEW_TO_TRITON]
    if not new or not facts.matches("triton", "<=3.5.1") or facts.variable("TRITON_PTXAS_PATH"):
        return None
    return Hit((f"compute capability {new[0]}", facts.named("triton")), severity="warning")


@finds("ninja-missing")
def _ninja(facts: Facts) -> Hit | None:
    tools, target = facts.host.tools, facts.target
    if tools is None or target is None or tools.get("ninja") or not facts.installed("flashinfer-python"):
        return None
    if (target.prefix / "bin" / "ninja").exists():
        return Hit((f"{target.prefix}/bin is not on PATH, and nothing else brings ninja",), severity="info")
    return Hit(("PATH has no ninja",), severity="warning")


@finds("flashinfer-companions")
def _companions(facts: Facts) -> Hit | None:
    base = facts.version("flashinfer-python")
    if base is None:
        return None
    other = [name for name in _COMPANIONS if (have := facts.version(name)) and have.public != base.public]
    return Hit((facts.named("flashinfer-python"), *map(facts.named, other))) if other else None


@mends("flashinfer-companions")
def _same_companions(facts: Facts) -> Remedy:
    base = facts.version("flashinfer-python")
    there = [name for name in _COMPANIONS if facts.installed(name)]
    if base is None:
        text = "Put flashinfer-cubin and flashinfer-jit-cache at the release of flashinfer-python, or remove them."
        return Remedy(text, (facts.shell.uninstall(*(there or _COMPANIONS)),))
    wanted = tuple(f"{name}=={base.public}" for name in there if name == "flashinfer-cubin")
    gone = tuple(name for name in there if name != "flashinfer-cubin")
    text = "Bring the companions to the release of flashinfer-python; the version check is there for a reason."
    return remedy(facts.shell, text, Fix(uninstall=gone, install=wanted))


@finds("aiter-read-only")
def _aiter(facts: Facts) -> Hit | None:
    target = facts.target
    folder = target.site / "aiter" / "jit" if target else None
    if folder is None or not folder.parent.is_dir() or (folder.is_dir() and _writable(folder)):
        return None
    return Hit((f"{folder} is missing or not writable",), severity="warning")


def _writable(path: Path) -> bool:
    import os  # noqa: PLC0415  one call

    return os.access(path, os.W_OK)


@finds("libcuda-not-linked")
def _lcuda(facts: Facts) -> Hit | None:
    target = facts.target
    here = any(re.match(r"/dev/nvidia\d", node) for node in facts.host.nodes or ())
    if target is None or not (here and facts.has_nvidia_gpu) or facts.variable("TRITON_LIBCUDA_PATH"):
        return None
    python = target.loader.read(str(target.interpreter.resolve()))
    if python is None or target.loader.search("libcuda.so.1", python):
        return None
    return Hit(("the loader finds no libcuda.so.1, although there is a GPU",), severity="warning")
