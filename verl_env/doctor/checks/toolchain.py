"""Compilers and what is compiled at run time: triton, FlashInfer, torch extensions, source builds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Check, Fix, Hit, Remedy
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


def _python_h(facts: Facts) -> Hit | None:
    target = facts.target
    if target is None:
        return None
    base = Path(target.config["home"]).parent if "home" in target.config else target.prefix
    header = base / "include" / f"python{target.python}" / "Python.h"
    return None if header.exists() else Hit((f"{header} is not there",), severity="warning")


def _no_compiler(facts: Facts) -> Hit | None:
    tools = facts.host.tools
    if tools is None or facts.variable("CC") or any(tools.get(name) for name in ("gcc", "cc", "clang")):
        return None
    return Hit(("PATH has no gcc, cc or clang, and CC is not set",), severity="warning")


def _no_nvcc(facts: Facts) -> Hit | None:
    if not facts.installed("flashinfer-python") or not facts.absent("flashinfer-jit-cache") or not no_nvcc(facts):
        return None
    if facts.variable("VLLM_USE_FLASHINFER_SAMPLER") == "0" or not facts.has_nvidia_gpu:
        return None
    return Hit((facts.named("flashinfer-python"), "no nvcc was found"), severity="warning")


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


def _cuda_home(facts: Facts) -> Hit | None:
    home = facts.variable("CUDA_HOME")
    if home is None:
        return None
    if ":" in home:
        return Hit((f"CUDA_HOME={home}",))
    if facts.target is not None and not Path(home).is_dir():
        return Hit((f"CUDA_HOME={home}, which is not there",), severity="warning")
    return None


def _set_cuda_home(facts: Facts) -> Remedy:
    parts = [part for part in (facts.variable("CUDA_HOME") or "").split(":") if part]
    named = parts[-1] if parts and _PLAIN.fullmatch(parts[-1]) else "/usr/local/cuda"
    return Remedy("Name one directory.", (f"export CUDA_HOME={named}",))


def _old_toolkit(facts: Facts) -> Hit | None:
    nvcc = nvcc_version(facts)
    if "12.0" not in facts.capabilities or nvcc is None or at_least(nvcc, "12.9"):
        return None
    if not facts.installed("flashinfer-python"):
        return None
    return Hit(("compute capability 12.0", f"nvcc {nvcc}", facts.named("flashinfer-python")), severity="warning")


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


def _ptxas(facts: Facts) -> Hit | None:
    new = [value for value in facts.capabilities if value in _NEW_TO_TRITON]
    if not new or not facts.matches("triton", "<=3.5.1") or facts.variable("TRITON_PTXAS_PATH"):
        return None
    return Hit((f"compute capability {new[0]}", facts.named("triton")), severity="warning")


def _ninja(facts: Facts) -> Hit | None:
    tools, target = facts.host.tools, facts.target
    if tools is None or target is None or tools.get("ninja") or not facts.installed("flashinfer-python"):
        return None
    if (target.prefix / "bin" / "ninja").exists():
        return Hit((f"{target.prefix}/bin is not on PATH, and nothing else brings ninja",), severity="info")
    return Hit(("PATH has no ninja",), severity="warning")


def _companions(facts: Facts) -> Hit | None:
    base = facts.version("flashinfer-python")
    if base is None:
        return None
    other = [name for name in _COMPANIONS if (have := facts.version(name)) and have.public != base.public]
    return Hit((facts.named("flashinfer-python"), *map(facts.named, other))) if other else None


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


def _aiter(facts: Facts) -> Hit | None:
    target = facts.target
    folder = target.site / "aiter" / "jit" if target else None
    if folder is None or not folder.parent.is_dir() or (folder.is_dir() and _writable(folder)):
        return None
    return Hit((f"{folder} is missing or not writable",), severity="warning")


def _writable(path: Path) -> bool:
    import os  # noqa: PLC0415  one call

    return os.access(path, os.W_OK)


def _lcuda(facts: Facts) -> Hit | None:
    target = facts.target
    here = any(re.match(r"/dev/nvidia\d", node) for node in facts.host.nodes or ())
    if target is None or not (here and facts.has_nvidia_gpu) or facts.variable("TRITON_LIBCUDA_PATH"):
        return None
    python = target.loader.read(str(target.interpreter.resolve()))
    if python is None or target.loader.search("libcuda.so.1", python):
        return None
    return Hit(("the loader finds no libcuda.so.1, although there is a GPU",), severity="warning")


CHECKS = (
    Check(
        id="python-headers",
        theme="toolchain",
        severity="error",
        title="Python.h is not there",
        cause="triton compiles a small C module at first use, against the headers of the base interpreter.",
        remedy=Remedy(
            "Install the headers, or use a Python that ships them (conda's, uv's).",
            ("apt install python3-dev", "uv python install 3.10"),
        ),
        covers=("F1",),
        sources=("sglang#1117", "sglang PR#18644", "verl FAQ"),
        find=_python_h,
        log=(r"fatal error: (?:Python\.h: No such file|'Python\.h' file not found)",),
    ),
    Check(
        id="c-compiler-missing",
        theme="toolchain",
        severity="error",
        title="There is no C compiler",
        cause="triton compiles a small C module at first use; on compute nodes the compiler often is a module.",
        remedy=Remedy("Load a compiler in the job.", ("module load gcc", "export CC=gcc")),
        covers=("F2",),
        sources=("verl FAQ", "triton"),
        find=_no_compiler,
        log=(r"Failed to find C compiler",),
    ),
    Check(
        id="nvcc-missing",
        theme="toolchain",
        severity="error",
        title="There is no nvcc",
        cause="FlashInfer compiles kernels at first use unless its jit-cache is installed; source builds need it too.",
        remedy=Remedy(
            "Switch its sampler off, install flashinfer-jit-cache, or load a CUDA toolkit.",
            ("export VLLM_USE_FLASHINFER_SAMPLER=0", "module load cuda"),
        ),
        covers=("F3",),
        sources=("flashinfer#1781", "flashinfer#1919", "vllm#49497", "vllm#26642"),
        find=_no_nvcc,
        log=(
            r"Could not find nvcc",
            r"No such file or directory: '(?:[^'\s]*/)?nvcc'",
            r"nvcc: (?:command )?not found",
            r"but nvcc was not found",
            r"CUDA_HOME (?:environment variable )?is not set|CUDA_HOME does not exist",
            r"^[ \t]+assert cuda_home\b[^\n]*",
        ),
    ),
    Check(
        id="nvcc-headers",
        theme="toolchain",
        severity="error",
        title="nvcc and the CUDA headers are of different releases",
        cause="The compiler wheel is newer than the runtime's headers, and CUDA_HOME points at both.",
        remedy=Remedy("Pin the compiler wheels to torch's CUDA minor, or point CUDA_HOME at a whole toolkit."),
        covers=("F4",),
        sources=("flashinfer#3493", "vllm#44305", "vllm#44335"),
        find=_nvcc_headers,
        log=(r"CUDA compiler and (?:CUDA )?toolkit headers are incompatible",),
    ),
    Check(
        id="cuda-home",
        theme="toolchain",
        severity="error",
        title="CUDA_HOME is no directory",
        cause="An export appended to CUDA_HOME as if it were a search path.",
        remedy=_set_cuda_home,
        covers=("F5",),
        sources=("vllm#36077",),
        find=_cuda_home,
        log=(r"(?:^|[\s'\"=]):/[\w./-]+/bin/nvcc",),
        explains=("nvcc-missing",),
    ),
    Check(
        id="toolkit-before-sm120",
        theme="toolchain",
        severity="warning",
        title="The CUDA toolkit is too old to compile for this GPU",
        cause="FlashInfer compiles for 12.0 with features that nvcc knows from 12.9 on.",
        remedy=Remedy("Load a newer toolkit, or switch FlashInfer off.", ("export VLLM_USE_FLASHINFER_SAMPLER=0",)),
        covers=("F6",),
        sources=("vllm#50705",),
        find=_old_toolkit,
        log=(
            r"nvcc fatal\s*:\s*Unsupported gpu architecture 'compute_1[02]\d",
            r"nvcc fatal\s*:\s*Unknown option '",
            r"FlashInfer requires GPUs with sm75 or higher|SM 12\.x requires CUDA >= 12\.9",
        ),
        from_log=_old_toolkit_log,
        explains=("architecture-refused",),
    ),
    Check(
        id="ptxas-too-old",
        theme="toolchain",
        severity="error",
        title="The ptxas of triton does not know this GPU",
        cause="triton bundles a ptxas that is older than the GPU.",
        remedy=Remedy("Point triton at a newer one.", ("export TRITON_PTXAS_PATH=$CUDA_HOME/bin/ptxas",)),
        covers=("F7",),
        sources=("triton#8539", "vllm PR#31338"),
        find=_ptxas,
        log=(
            r"ptxas fatal\s*:\s*Value 'sm_\w+' is not defined for option 'gpu-name'",
            r"triton/backends/nvidia/bin/ptxas'[^\n]{0,300}--gpu-name=sm_1\d\d\w*'[^\n]*non-zero exit status",
            r"PTX \.version [\d.]+ does not support \.target sm_\w+",
        ),
    ),
    Check(
        id="ninja-missing",
        theme="toolchain",
        severity="error",
        title="ninja is not on PATH",
        cause=(
            "torch and FlashInfer build extensions with ninja; a worker started by the full path of python has no PATH."
        ),
        remedy=lambda facts: remedy(
            facts.shell, "Install ninja and activate the environment.", Fix(install=("ninja",))
        ),
        covers=("F12",),
        sources=("flash-attention#347", "flashinfer#1781"),
        find=_ninja,
        log=(r"Ninja is required to load C\+\+ extensions", r"No such file or directory: 'ninja'"),
    ),
    Check(
        id="flashinfer-companions",
        theme="toolchain",
        severity="error",
        title="flashinfer-cubin or flashinfer-jit-cache is of another release",
        cause="The companions are not pinned together; upgrading an engine leaves the old ones behind.",
        remedy=_same_companions,
        covers=("F15",),
        sources=("vllm#49804", "flashinfer#4337", "sglang PR#23100"),
        find=_companions,
        log=(r"flashinfer-(?:cubin|jit-cache) version \([^)]*\) does not match flashinfer version",),
    ),
    Check(
        id="aiter-read-only",
        theme="toolchain",
        severity="error",
        title="aiter cannot write its kernels",
        cause="aiter compiles into its own install directory, which must be there and writable.",
        remedy=Remedy("Make the directory, or use an environment of your own."),
        covers=("F16",),
        sources=("aiter#887",),
        find=_aiter,
        log=(r"(?:Permission denied|No such file or directory|Read-only file system)[^\n]*aiter/jit",),
    ),
    Check(
        id="libcuda-not-linked",
        theme="toolchain",
        severity="warning",
        title="triton cannot link to libcuda",
        cause="libcuda.so.1 is not where the linker looks.",
        remedy=Remedy("Say where it is.", ('export TRITON_LIBCUDA_PATH="$(dirname /path/to/libcuda.so.1)"',)),
        covers=("F17",),
        sources=("daydream scope#84",),
        find=_lcuda,
        log=(r"cannot find -lcuda\b",),
    ),
)
